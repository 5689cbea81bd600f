// MLflow's pages know nothing of the hub: every request they make to their own origin gets the hub's XSRF token.
(() => {
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
})();
