// <credit-balance type="image_generation"> and <buy-credits type="image_generation" provider="stripe">.
// One module, no dependencies. A token of one account comes from your own server, never an API key:
//   <script type="module" src="https://credits.example.com/embed/credits.js" data-token-url="/credits-token"></script>
// or from the attributes `token-url` or `token` of an element. docs/pages.md has the rest.
const BASE = new URL(".", import.meta.url).href;
const TOKEN_URL = [...document.querySelectorAll("script[data-token-url]")].find((one) => one.src === import.meta.url)?.dataset.tokenUrl;
const POLL_MS = 5000;
const LONGEST_PAUSE_MS = 60000;
const SHORTEST_STREAM_MS = 1000;
const ATTRIBUTES = ["type", "token", "token-url", "provider", "amount", "currency", "return-url", "locale"];
const WORDS = {
  en: { available: "available", buy: "Buy", amount: "Amount", price: "Price", failed: "Not available right now.", again: "Try again", loading: "Loading…", unknown: "There are no such credits." },
  de: { available: "verfügbar", buy: "Kaufen", amount: "Menge", price: "Preis", failed: "Gerade nicht verfügbar.", again: "Noch einmal", loading: "Lädt …", unknown: "Solche Guthaben gibt es nicht." },
};
// A sheet made by a script needs no 'unsafe-inline' in a page's content security policy.
const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
  :host { display: inline-block; font: var(--credits-font, inherit); --bad: var(--credits-error, #b3261e); --main: var(--credits-colour, #1f5fbf); }
  @supports (color: light-dark(#000, #fff)) { :host { --bad: var(--credits-error, light-dark(#b3261e, #ff8a80)); } }
  :host([hidden]) { display: none; }
  .box { display: inline-flex; flex-wrap: wrap; gap: .35em; align-items: baseline; margin: 0; }
  form.box { gap: .6em; align-items: end; }
  [aria-busy=true] { opacity: .65; }
  strong { font-variant-numeric: tabular-nums; }
  label { display: grid; gap: .25em; font-size: .875em; }
  input, button { font: inherit; min-height: 2.75em; border-radius: var(--credits-radius, .4em); box-sizing: border-box; }
  input { font-size: 1rem; width: 8em; padding: .4em .7em; border: 1px solid currentColor; background: transparent; color: inherit; }
  input[aria-invalid=true] { border-color: var(--bad); }
  button { padding: .4em 1.1em; border: 0; cursor: pointer; font-weight: 600; background: var(--main); color: var(--credits-on-colour, #fff); }
  button[aria-disabled=true] { opacity: .6; cursor: progress; }
  button.again { min-height: 1.5em; padding: 0 .3em; background: none; color: inherit; text-decoration: underline; font-weight: inherit; }
  :focus-visible { outline: 3px solid currentColor; outline-offset: 2px; }
  .price { min-height: 1.5em; flex-basis: 100%; }
  .error { color: var(--bad); }
`);

// ── Tokens: where an element's comes from, and another one when it is over ────────────────────────────────

class Fault extends Error {
  constructor(message, status = 0) { super(message); this.status = status; }
}

const held = new Map();

async function tokenOf({ token, url }, stale) {
  if (token) return token;
  if (!url) throw new Fault("no token: set data-token-url on the script, or token-url or token on the element");
  // Of many that find the same token over, one asks for another.
  if (stale && held.get(url)?.token === stale) held.delete(url);
  const known = held.get(url) ?? { token: null };
  if (!known.asked) {
    held.set(url, known);
    known.asked = fetchToken(url).then(
      (fresh) => (known.token = fresh),
      (error) => { if (held.get(url) === known) held.delete(url); throw error; },
    );
  }
  return known.asked;
}

async function fetchToken(url) {
  const answer = await fetch(url, { headers: { accept: "application/json" }, cache: "no-store" });
  if (!answer.ok) throw new Fault(`${url} answered ${answer.status}`, answer.status);
  const { token } = await answer.json();
  if (typeof token !== "string") throw new Fault(`${url} answered without a token`);
  return token;
}

async function ask(source, path, options = {}) {
  const send = (token) => fetch(BASE + path, { ...options, headers: { ...options.headers, authorization: `Bearer ${token}` }, cache: "no-store" });
  const token = await tokenOf(source);
  const answer = await send(token);
  if (answer.status !== 401 || source.token) return answer;
  return send(await tokenOf(source, token));
}

const told = (path, { tongue }) => (tongue ? `${path}?${tongue}` : path);

// ── Balances, shared by every element of one token ────────────────────────────────────────────────────────

const feeds = new Map();

function watch(source, hear) {
  const name = `${source.token || source.url || ""} ${source.tongue}`;
  let feed = feeds.get(name);
  if (!feed) {
    feed = { listeners: new Set(), last: null, leaving: new AbortController() };
    feeds.set(name, feed);
    follow(source, (heard) => { feed.last = heard; for (const one of feed.listeners) one(heard); }, feed.leaving.signal);
  }
  feed.listeners.add(hear);
  if (feed.last) hear(feed.last);
  return () => {
    feed.listeners.delete(hear);
    if (feed.listeners.size) return;
    feed.leaving.abort();
    if (feeds.get(name) === feed) feeds.delete(name);
  };
}

async function follow(source, tell, signal) {
  let failures = 0;
  let etag = "";
  while (!signal.aborted) {
    try {
      const began = Date.now();
      const streamed = await stream(source, tell, signal);
      failures = 0;
      // Every place was taken, or something between us keeps streams from flowing: ask instead.
      if (!streamed || Date.now() - began < SHORTEST_STREAM_MS) {
        const answer = await ask(source, told("balances", source), { signal, headers: etag ? { "if-none-match": etag } : {} });
        if (answer.ok) {
          etag = answer.headers.get("etag") ?? "";
          tell({ balances: await answer.json() });
        } else if (answer.status !== 304) throw new Fault("no balances", answer.status);
        await pause(POLL_MS);
      }
    } catch (error) {
      if (signal.aborted) return;
      tell({ error });
      await pause(Math.min(POLL_MS * 2 ** failures++, LONGEST_PAUSE_MS));
    }
    while (document.hidden && !signal.aborted) await pause(500);
  }
}

// Server-sent events over fetch, for EventSource cannot send a header. False if there was no place for it.
async function stream(source, tell, signal) {
  const answer = await ask(source, told("stream", source), { signal });
  if (answer.status === 503) return false;
  if (!answer.ok) throw new Fault("no stream", answer.status);
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
  static observedAttributes = ATTRIBUTES;
  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [SHEET];
  }
  get words() {
    const language = (this.locale || this.closest("[lang]")?.lang || navigator.language || "en").slice(0, 2).toLowerCase();
    return WORDS[language] ?? WORDS.en;
  }
  // How numbers are written: by the attribute, else by the token, else by the page around.
  get tongue() {
    const lang = this.closest("[lang]")?.lang;
    return new URLSearchParams({ ...(this.locale && { locale: this.locale }), ...(lang && { lang }) }).toString();
  }
  get source() { return { token: this.token, url: this.tokenUrl || TOKEN_URL, tongue: this.tongue }; }
  tell(name, detail, cancelable = false) { return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, cancelable })); }
  tellError(error) { this.tell("credits-error", { status: error.status ?? 0, message: error.message }); }
}

// Frameworks set attributes or properties, as they find them: both are the same here.
for (const name of ATTRIBUTES) {
  Object.defineProperty(CreditsElement.prototype, name.replace(/-(.)/, (_, letter) => letter.toUpperCase()), {
    get() { return this.getAttribute(name) ?? ""; },
    set(value) { if (value === null || value === undefined) this.removeAttribute(name); else this.setAttribute(name, value); },
  });
}

class CreditBalance extends CreditsElement {
  #place = make("span", "", "box", "balance");
  #leave = null;
  #shown = null;
  connectedCallback() {
    this.#place.setAttribute("role", "status");
    this.shadowRoot.replaceChildren(this.#place);
    this.#say(true, make("span", this.words.loading));
    this.#leave = watch(this.source, (heard) => this.#hear(heard));
  }
  disconnectedCallback() { this.#leave?.(); this.#leave = this.#shown = null; }
  attributeChangedCallback(name, before, now) {
    if (!this.#leave || before === now) return;
    this.disconnectedCallback();
    this.connectedCallback();
  }
  #hear({ balances, error }) {
    if (error) {
      // What was shown before is more use than an error that may be over in a moment.
      if (this.#shown === null) this.#say(false, make("span", this.words.failed, "error", "error"));
      return this.tellError(error);
    }
    const one = balances.balances[this.type];
    const name = balances.names[this.type];
    if (!one && name === undefined) {
      this.#say(false, make("span", this.words.unknown, "error", "error"));
      return this.tellError(new Fault(`there is no credit type ${this.type}`, 404));
    }
    const text = one?.formatted ?? "0";
    if (this.#shown === text) return;
    this.#shown = text;
    this.#say(false, make("strong", text, "", "amount"), make("span", `${name ?? this.type} ${this.words.available}`, "", "label"));
    this.tell("credits-change", { type: this.type, available: one?.available ?? 0 });
  }
  #say(isBusy, ...parts) {
    this.#place.setAttribute("aria-busy", String(isBusy));
    this.#place.replaceChildren(...parts);
  }
}

class BuyCredits extends CreditsElement {
  #form = make("form", "", "box", "form");
  #input = make("input", "", "", "input");
  #button = make("button", "", "", "button");
  #price = make("span", "", "price", "price");
  #key = newKey();
  #asked = 0;
  #timer = 0;
  constructor() {
    super();
    Object.assign(this.#input, { inputMode: "numeric", autocomplete: "off", required: true, maxLength: 24 });
    Object.assign(this.#price, { id: "price", ariaLive: "polite" });
    this.#input.setAttribute("aria-describedby", "price");
    this.#input.addEventListener("input", () => { clearTimeout(this.#timer); this.#timer = setTimeout(() => this.#showPrice(), 200); });
    this.#form.addEventListener("submit", (event) => { event.preventDefault(); this.#buy(); });
  }
  connectedCallback() {
    const label = make("label", this.words.amount, "", "label");
    label.append(this.#input);
    this.#button.textContent = this.words.buy;
    this.#form.replaceChildren(label, this.#button, this.#price);
    this.shadowRoot.replaceChildren(this.#form);
    if (!this.#input.value) this.#input.value = this.amount || "100";
    this.#showPrice();
  }
  disconnectedCallback() { this.#asked += 1; clearTimeout(this.#timer); }
  attributeChangedCallback(name, before, now) {
    if (name === "amount") this.#input.value = now || "100";
    if (name === "locale" && this.isConnected && before !== now) return this.connectedCallback();
    if (this.isConnected && before !== now) this.#showPrice();
  }
  async #showPrice() {
    const mine = (this.#asked += 1);
    const chosen = { ...Object.fromEntries(new URLSearchParams(this.tongue)), type: this.type, amount: this.#input.value, ...(this.currency && { currency: this.currency }) };
    this.#say(make("span", this.words.loading));
    try {
      const answer = await ask(this.source, `price?${new URLSearchParams(chosen)}`);
      if (mine !== this.#asked) return;
      // A choice that has no price is the reader's to mend; anything else may be over when one tries again.
      if (answer.status >= 500 || answer.status === 401 || answer.status === 403) throw new Fault("no price", answer.status);
      const price = await answer.json();
      if (mine !== this.#asked) return;
      if (!answer.ok || price.error) return this.#refuse(price.error ?? price.detail);
      const parts = [`${this.words.price}: `, make("strong", price.total)];
      if (price.list_total) parts.push(" ", make("s", price.list_total));
      for (const more of [price.discount, price.bonus]) if (more) parts.push(` · ${more}`);
      this.#say(...parts);
    } catch (error) { if (mine === this.#asked) this.#fail(error, () => this.#showPrice()); }
  }
  async #buy() {
    if (this.#button.ariaDisabled === "true") return;
    this.#button.ariaDisabled = "true";
    try {
      let bought = await this.#checkOut();
      // What this key bought is over: this is another purchase.
      if (bought && !["quoted", "open"].includes(bought.state)) {
        this.#key = newKey();
        bought = await this.#checkOut();
      }
      if (bought && this.tell("credits-checkout", bought, true)) location.assign(bought.checkout_url);
    } catch (error) { this.#fail(error, () => this.#buy()); } finally { this.#button.ariaDisabled = null; }
  }
  async #checkOut() {
    const amount = Number.parseInt(this.#input.value.replace(/[\s.,'’_]/g, ""), 10);
    const body = { credit_type: this.type, amount, ...(this.provider && { provider: this.provider }), key: this.#key, return_url: this.returnUrl || location.href.split("#")[0], ...(this.currency && { currency: this.currency }) };
    const answer = await ask(this.source, "checkouts", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    if (answer.status >= 500 || answer.status === 401 || answer.status === 403) throw new Fault("no checkout", answer.status);
    const answered = await answer.json();
    if (answer.ok) return answered;
    this.#refuse(answered.detail);
    return null;
  }
  #say(...parts) {
    this.#input.ariaInvalid = null;
    this.#price.replaceChildren(...parts);
  }
  #refuse(text) {
    this.#say(make("span", text, "error", "error"));
    this.#input.ariaInvalid = "true";
  }
  #fail(error, again) {
    const button = make("button", this.words.again, "again", "again");
    button.type = "button";
    button.addEventListener("click", again);
    this.#say(make("span", `${this.words.failed} `, "error", "error"), button);
    this.tellError(error);
  }
}

function make(name, text = "", kind = "", part = "") {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  if (kind) element.className = kind;
  if (part) element.setAttribute("part", part);
  return element;
}

// Pages that are not secure have no randomUUID.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

for (const [name, made] of [["credit-balance", CreditBalance], ["buy-credits", BuyCredits]]) {
  if (!customElements.get(name)) customElements.define(name, made);
}
