// What MLflow's pages need to know of the hub. Runs before any script of theirs.
(() => {
  // Every request that they make to their own origin gets the hub's XSRF token.
  const token = () =>
    (document.cookie.split("; ").find((part) => part.startsWith("_xsrf=")) || "").slice("_xsrf=".length);
  const isOurs = (url) => new URL(url, document.baseURI).origin === location.origin;

  const plainFetch = window.fetch;
  window.fetch = (input, init) => {
    const request = new Request(input, init);
    if (isOurs(request.url)) request.headers.set("X-XSRFToken", token());
    return plainFetch.call(window, request);
  };

  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    open.call(this, method, url, ...rest);
    if (isOurs(url)) this.setRequestHeader("X-XSRFToken", token());
  };

  // The assistant is switched off (it runs programs on the server), so it does not open on the first visit.
  localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
  localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
})();
