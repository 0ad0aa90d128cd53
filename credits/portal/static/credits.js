// <credit-balance type="image_generation"> and <buy-credits type="image_generation" provider="stripe">.
// One script, no dependencies. A token of one account comes from your own server:
//   <script type="module" src="https://credits.example.com/embed/credits.js" data-token-url="/my-credits-token"></script>
// or the attribute `token` on each element. Colours: --credits-colour, --credits-on-colour, --credits-font.
const script = document.currentScript ?? [...document.querySelectorAll("script[src*='/embed/credits.js']")].pop();
const BASE = new URL(".", script?.src ?? import.meta.url).href;
const TOKEN_URL = script?.dataset.tokenUrl;
const POLL_MS = 5000;
const WORDS = {
  en: { available: "available", buy: "Buy", amount: "Amount", price: "Price", failed: "Not available right now.", again: "Try again", loading: "Loading…" },
  de: { available: "verfügbar", buy: "Kaufen", amount: "Menge", price: "Preis", failed: "Gerade nicht verfügbar.", again: "Noch einmal", loading: "Lädt …" },
};
const STYLE = `
  :host { display: inline-block; font: var(--credits-font, inherit); }
  .box { display: inline-flex; flex-wrap: wrap; gap: .5em; align-items: end; }
  strong { font-variant-numeric: tabular-nums; }
  label { display: grid; gap: .2em; font-size: .85em; }
  input { font: inherit; width: 8em; padding: .4em .6em; border: 1px solid currentColor; border-radius: .4em; background: transparent; color: inherit; }
  button { font: inherit; padding: .5em 1em; border: 0; border-radius: .4em; cursor: pointer; background: var(--credits-colour, #1f5fbf); color: var(--credits-on-colour, #fff); }
  button[disabled] { opacity: .6; cursor: progress; }
  :focus-visible { outline: 3px solid var(--credits-colour, #1f5fbf); outline-offset: 2px; }
  .price { min-height: 1.4em; flex-basis: 100%; }
  .error { color: var(--credits-error, #b3261e); }
`;

// ── The token ─────────────────────────────────────────────────────────────────────────────────────────────

let shared = null;

async function fetchToken(isStale) {
  if (!TOKEN_URL) throw new Error("no token: set data-token-url on the script, or token on the element");
  if (!shared || isStale) {
    const asked = fetch(TOKEN_URL, { headers: { accept: "application/json" } }).then(async (answer) => {
      if (!answer.ok) throw new Error(`${TOKEN_URL} answered ${answer.status}`);
      return (await answer.json()).token;
    });
    shared = asked;
    asked.catch(() => { if (shared === asked) shared = null; });
  }
  return shared;
}

async function ask(element, path, options = {}, isRetry = false) {
  const own = element.getAttribute("token");
  const token = own ?? (await fetchToken(isRetry));
  const headers = { authorization: `Bearer ${token}`, ...options.headers };
  const answer = await fetch(BASE + path, { ...options, headers, cache: "no-store" });
  // A token that is over is asked for anew, once.
  if (answer.status === 401 && !own && !isRetry) return ask(element, path, options, true);
  return answer;
}

// ── Balances, shared by every element of one token ────────────────────────────────────────────────────────

const feeds = new Map();

function watch(element, hear) {
  const name = element.getAttribute("token") ?? "";
  const feed = feeds.get(name) ?? { listeners: new Set(), last: null, stop: null };
  feeds.set(name, feed);
  feed.listeners.add(hear);
  if (feed.last) hear(feed.last);
  if (!feed.stop) feed.stop = follow(element, (heard) => { feed.last = heard; for (const one of feed.listeners) one(heard); });
  return () => {
    feed.listeners.delete(hear);
    if (!feed.listeners.size) { feed.stop(); feeds.delete(name); }
  };
}

function follow(element, tell) {
  const leaving = new AbortController();
  (async () => {
    while (!leaving.signal.aborted) {
      try {
        if (!(await stream(element, tell, leaving.signal))) {
          const answer = await ask(element, "balances", { signal: leaving.signal });
          tell(answer.ok ? { balances: await answer.json() } : { error: answer.status });
          await pause(POLL_MS);
        }
      } catch {
        if (leaving.signal.aborted) return;
        tell({ error: 0 });
        await pause(POLL_MS);
      }
      while (document.hidden && !leaving.signal.aborted) await pause(1000);
    }
  })();
  return () => leaving.abort();
}

// Server-sent events over fetch, for EventSource cannot send a header. True if it streamed.
async function stream(element, tell, signal) {
  const answer = await ask(element, "stream", { signal });
  if (!answer.ok || !answer.body) return false;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) if (event.startsWith("data: ")) tell({ balances: JSON.parse(event.slice(6)) });
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// ── Elements ──────────────────────────────────────────────────────────────────────────────────────────────

class CreditsElement extends HTMLElement {
  constructor() {
    super();
    this.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.place = document.createElement("span");
    this.place.className = "box";
    this.shadowRoot.append(style, this.place);
  }
  get words() {
    const language = (this.closest("[lang]")?.lang || navigator.language || "en").slice(0, 2);
    return WORDS[language] ?? WORDS.en;
  }
  get type() { return this.getAttribute("type") ?? ""; }
  disconnectedCallback() { this.leave?.(); this.leave = null; }
}

class CreditBalance extends CreditsElement {
  connectedCallback() {
    this.place.setAttribute("role", "status");
    this.say(make("span", this.words.loading));
    this.leave = watch(this, (heard) => this.show(heard));
  }
  show({ balances, error }) {
    if (!balances) {
      // What was shown before is more use than an error that may be over in a moment.
      if (!this.shown) this.say(make("span", this.words.failed, "error"));
      this.dispatchEvent(new CustomEvent("credits-error", { detail: { status: error }, bubbles: true }));
      return;
    }
    const one = balances.balances[this.type];
    const text = one?.formatted ?? "0";
    if (this.shown === text) return;
    this.shown = text;
    this.say(make("strong", text), make("span", `${balances.names[this.type] ?? this.type} ${this.words.available}`));
    const detail = { type: this.type, available: one?.available ?? 0 };
    this.dispatchEvent(new CustomEvent("credits-change", { detail, bubbles: true }));
  }
  say(...parts) { this.place.replaceChildren(...parts); }
}

class BuyCredits extends CreditsElement {
  connectedCallback() {
    if (this.form) return;
    const { words } = this;
    this.form = make("form", "", "box");
    const label = make("label", words.amount);
    this.amount = make("input");
    Object.assign(this.amount, { inputMode: "numeric", autocomplete: "off", required: true, value: this.getAttribute("amount") ?? "100" });
    label.append(this.amount);
    this.button = make("button", words.buy);
    this.price = make("span", "", "price");
    this.price.setAttribute("role", "status");
    this.form.append(label, this.button, this.price);
    this.place.replaceChildren(this.form);
    this.key = crypto.randomUUID();
    let timer;
    this.amount.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => this.showPrice(), 200); });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.buy(); });
    this.showPrice();
  }
  get number() { return Number.parseInt(this.amount.value.replace(/[\s.,'’_]/g, ""), 10); }
  get chosen() {
    const chosen = { type: this.type, amount: this.amount.value };
    if (this.getAttribute("currency")) chosen.currency = this.getAttribute("currency");
    return chosen;
  }
  async showPrice() {
    const mine = (this.asked = (this.asked ?? 0) + 1);
    try {
      const answer = await ask(this, `price?${new URLSearchParams(this.chosen)}`);
      const price = await answer.json();
      if (mine !== this.asked) return;
      if (!answer.ok || price.error) return this.fail(price.error ?? price.detail);
      const parts = [`${this.words.price}: `, make("strong", price.total)];
      if (price.list_total) parts.push(" ", make("s", price.list_total));
      for (const more of [price.discount, price.bonus]) if (more) parts.push(` · ${more}`);
      this.price.replaceChildren(...parts);
    } catch { if (mine === this.asked) this.fail(this.words.failed); }
  }
  async buy() {
    if (this.button.disabled) return;
    this.button.disabled = true;
    const body = { credit_type: this.type, amount: this.number, provider: this.getAttribute("provider") ?? "stripe", key: this.key, return_url: this.getAttribute("return-url") ?? location.href.split("#")[0] };
    if (this.getAttribute("currency")) body.currency = this.getAttribute("currency");
    try {
      const answer = await ask(this, "checkouts", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
      const bought = await answer.json();
      if (!answer.ok) return this.fail(bought.detail);
      const going = new CustomEvent("credits-checkout", { detail: bought, bubbles: true, cancelable: true });
      if (this.dispatchEvent(going)) location.assign(bought.checkout_url);
    } catch { this.fail(this.words.failed); } finally { this.button.disabled = false; }
  }
  fail(text) { this.price.replaceChildren(make("span", text, "error")); }
}

function make(name, text = "", kind = "") {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

customElements.define("credit-balance", CreditBalance);
customElements.define("buy-credits", BuyCredits);
