// JupyterHub keeps the chosen theme here; without a choice the system's preference holds.
(function () {
  let theme = null;
  try {
    theme = window.localStorage.getItem("jupyterhub-bs-theme");
  } catch (error) {
    // Storage may be switched off: the system's preference is good enough.
  }
  if (theme === "dark" || theme === "light") {
    document.documentElement.setAttribute("data-bs-theme", theme);
  }
})();
