(function () {
  const box = document.querySelector(".dp-search");
  if (!box) {
    return;
  }
  // The search needs this script, so only this script shows it.
  box.hidden = false;
  const field = box.querySelector("input");
  const found = box.querySelector("span");
  const cards = Array.from(document.querySelectorAll(".dp-card"));
  function filter() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      // What is chosen stays in sight, so that nobody starts what they cannot see.
      const chosen = card.querySelector("input[name=profile]").checked;
      const match = words.every((word) => card.dataset.text.includes(word));
      card.hidden = !(match || chosen);
      shown += match ? 1 : 0;
    }
    found.textContent = words.length ? shown + " of " + cards.length + " profiles" : "";
  }
  field.addEventListener("input", filter);
  field.addEventListener("keydown", function (event) {
    if (event.key === "Enter") {
      // Enter takes the first match instead of starting a server by surprise.
      event.preventDefault();
      const first = cards.find((card) => !card.hidden && !card.querySelector("input[name=profile]").disabled
        && field.value.toLowerCase().split(/\s+/).every((word) => card.dataset.text.includes(word)));
      if (first) {
        const radio = first.querySelector("input[name=profile]");
        radio.checked = true;
        radio.focus();
      }
    } else if (event.key === "Escape") {
      field.value = "";
      filter();
    }
  });
})();
