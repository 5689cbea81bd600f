// What a script makes nicer; every page works without it.
(function () {
  "use strict";

  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const steps = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];

  // A save is never ahead, whatever the clocks say; an end may be.
  function ago(moment, isAhead) {
    let value = (moment - Date.now()) / 1000;
    value = isAhead ? value : Math.min(0, value);
    for (const [unit, size] of steps) {
      if (Math.abs(value) < size) {
        return unit === "second" && Math.abs(value) < 10 ? "just now" : relative.format(Math.round(value), unit);
      }
      value /= size;
    }
    return "";
  }

  function showTimes() {
    for (const element of document.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.getTime())) {
        continue;
      }
      element.title = element.dateTime.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
      element.textContent = absolute.format(moment) + " · " + ago(moment, "ahead" in element.dataset);
    }
  }

  function filterEntries() {
    const field = document.getElementById("q");
    const rows = [...document.querySelectorAll("#entries tbody tr")];
    const empty = document.getElementById("no-match");
    if (!field || !empty) {
      return;
    }
    field.addEventListener("input", function () {
      const wanted = field.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !row.dataset.name.includes(wanted);
        shown += row.hidden ? 0 : 1;
      }
      empty.hidden = shown > 0;
    });
  }

  function sendOnChange() {
    for (const box of document.querySelectorAll("input[data-submit]")) {
      box.addEventListener("change", () => box.form.requestSubmit());
    }
  }

  function pad(number) {
    return String(number).padStart(2, "0");
  }

  function localValue(moment) {
    return moment.getFullYear() + "-" + pad(moment.getMonth() + 1) + "-" + pad(moment.getDate()) +
      "T" + pad(moment.getHours()) + ":" + pad(moment.getMinutes()) + ":" + pad(moment.getSeconds());
  }

  // The picker speaks the person's time zone; the server gets the moment itself.
  function chooseMoment() {
    const form = document.querySelector("form[data-moment]");
    if (!form) {
      return;
    }
    const picker = form.elements.local;
    const now = new Date(picker.dataset.utc);
    picker.value = localValue(now);
    picker.max = localValue(now);
    form.querySelector("[data-zone]").textContent =
      "your time (" + Intl.DateTimeFormat().resolvedOptions().timeZone + ")";
    form.addEventListener("submit", function () {
      const moment = new Date(picker.value);
      if (!Number.isNaN(moment.getTime())) {
        const at = document.createElement("input");
        at.type = "hidden";
        at.name = "at";
        at.value = moment.toISOString();
        form.append(at);
        picker.disabled = true;
      }
    });
  }

  // A frame without an origin cannot read the chosen theme: it is told.
  function themeFrames() {
    const theme = document.documentElement.getAttribute("data-bs-theme");
    for (const frame of document.querySelectorAll("iframe.notebook")) {
      if (theme) {
        frame.src += "&theme=" + theme;
      }
    }
  }

  function sendOnce() {
    for (const form of document.querySelectorAll("form[method=post]")) {
      form.addEventListener("submit", function (event) {
        if (form.dataset.sent) {
          event.preventDefault();
        }
        form.dataset.sent = "1";
      });
    }
    window.addEventListener("pageshow", function () {
      for (const form of document.querySelectorAll("form[data-sent]")) {
        delete form.dataset.sent;
      }
    });
  }

  themeFrames();
  showTimes();
  filterEntries();
  sendOnChange();
  chooseMoment();
  sendOnce();
})();
