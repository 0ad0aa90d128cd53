// Makes the page live: prices while one types, balances every few seconds. Everything works without it.
"use strict";

const PRICE_PAUSE_MS = 200;
const BALANCE_PAUSE_MS = 5000;

for (const form of document.querySelectorAll("form[data-live]")) {
  const price = form.querySelector("#price");
  let timer = 0;
  let latest = 0;
  const show = async () => {
    const mine = ++latest;
    const chosen = new URLSearchParams();
    for (const name of ["type", "amount", "currency"]) {
      if (form.elements[name]) chosen.set(name, form.elements[name].value);
    }
    try {
      const answer = await fetch(`/portal/price?${chosen}`, { headers: { accept: "application/json" } });
      if (mine !== latest || !answer.ok) return;
      const asked = await answer.json();
      say(price, asked);
      form.elements.amount.setAttribute("aria-invalid", String(Boolean(asked?.error)));
    } catch {
      // Offline: the button still works as soon as the network does.
    }
  };
  form.classList.add("is-live");
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(show, PRICE_PAUSE_MS); });
  // A second click while the first is under way would be the same request; it need not be made.
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 4000);
  });
  show();
}

function say(place, asked) {
  place.replaceChildren();
  if (!asked) return;
  if (asked.error) {
    place.append(part("span", asked.error, "error"));
    return;
  }
  place.append(`${place.dataset.label}: `, part("strong", asked.total));
  if (asked.list_total) place.append(" ", part("s", asked.list_total));
  for (const more of [asked.discount, asked.bonus]) if (more) place.append(` · ${more}`);
}

function part(name, text, kind) {
  const element = document.createElement(name);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

const figures = document.querySelectorAll("[data-balance]");
if (figures.length) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch("/portal/balances");
      if (!answer.ok) return;
      const balances = await answer.json();
      for (const figure of figures) {
        const now = balances[figure.dataset.balance];
        if (now !== undefined && figure.textContent !== now) figure.textContent = now;
      }
    } catch {
      // The next look may succeed.
    }
  }, BALANCE_PAUSE_MS);
}
