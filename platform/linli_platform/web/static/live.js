// Keeps the overview fresh. The page is complete without it: this module only puts newer values in place.
const texts = JSON.parse(document.getElementById("texts").textContent);
const lang = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
const fill = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const FRAGMENTS = ["status", "rooms", "devices", "gateways"];
const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

// The server's clock counts, not the phone's.
let ahead = 0;
const now = () => Date.now() + ahead;

function span(ms) {
  if (ms >= 2 * DAY) return fill("age.days", { count: Math.floor(ms / DAY) });
  if (ms >= 2 * HOUR) return fill("age.hours", { count: Math.floor(ms / HOUR) });
  if (ms >= MINUTE) return fill("age.minutes", { count: Math.floor(ms / MINUTE) });
  return fill("age.seconds", { count: Math.max(0, Math.floor(ms / SECOND)) });
}
const ago = (ms) => (ms < 2 * SECOND ? fill("age.now") : fill("age.ago", { age: span(ms) }));

function countAges() {
  for (const node of document.querySelectorAll("time.age")) {
    const age = now() - Number(node.dataset.at);
    const words = ago(age);
    if (node.textContent !== words) node.textContent = words;
    const stale = Boolean(node.dataset.stale) && age > Number(node.dataset.stale);
    node.classList.toggle("stale", stale);
    if (node.dataset.age) {
      for (const value of document.querySelectorAll(`[data-series="${node.dataset.age}"]`)) value.classList.toggle("old", stale);
    }
  }
}

// Parts of the page, rendered by the server.
const pending = new Map();
const asked = new Map(); // an answer that a later question overtook is stale
function refresh(part, after = 0) {
  if (pending.has(part)) return;
  pending.set(part, setTimeout(() => replace(part), after));
}
const busy = (root) => root.contains(document.activeElement) && document.activeElement.matches("input, button") || root.querySelector("form details[open]");

async function replace(part) {
  pending.delete(part);
  const root = document.querySelector(`[data-fragment="${part}"]`);
  if (busy(root)) return refresh(part, 3 * SECOND); // somebody is writing a note there
  const turn = (asked.get(part) ?? 0) + 1;
  asked.set(part, turn);
  const fresh = document.createElement("template");
  try {
    const response = await fetch(`/fragments/${part}?lang=${lang}`, { headers: { accept: "text/html" } });
    if (response.redirected) return location.reload();
    if (!response.ok) return refresh(part, 5 * SECOND);
    fresh.innerHTML = await response.text();
  } catch {
    return refresh(part, 5 * SECOND); // nobody there, or gone in the middle of the answer
  }
  if (asked.get(part) !== turn) return;
  if (busy(root)) return refresh(part, 3 * SECOND);
  for (const closed of root.querySelectorAll("details.group:not([open])")) {
    fresh.content.getElementById(closed.id)?.removeAttribute("open");
  }
  // The live region stays the same node, so that a screen reader hears changes and nothing else.
  const spoken = root.querySelector("#headline");
  const next = fresh.content.querySelector("#headline");
  if (spoken && next) {
    const words = next.textContent;
    next.replaceWith(spoken);
    if (spoken.textContent !== words) spoken.textContent = words;
  }
  root.replaceChildren(fresh.content);
  newest.forEach(show); // what came while the server was rendering
  countAges();
}

// Values, in place.
function show(reading) {
  const values = document.querySelectorAll(`[data-series="${reading.series}"]`);
  if (!values.length) return false;
  const at = Date.parse(reading.time);
  const ages = [...document.querySelectorAll(`[data-age="${reading.series}"]`)];
  if (ages.some((age) => Number(age.dataset.at) > at)) return true; // older than what is shown
  for (const age of ages) age.dataset.at = at;
  const missing = reading.value === null && reading.text === null;
  for (const value of values) {
    if (value.textContent !== reading.shown) {
      value.textContent = reading.shown;
      value.classList.remove("fresh");
      requestAnimationFrame(() => value.classList.add("fresh"));
    }
    value.classList.toggle("none", missing);
  }
  for (const unit of document.querySelectorAll(`[data-unit="${reading.series}"]`)) unit.classList.toggle("none", missing);
  const [quality, reason] = reading.quality.split("/");
  for (const mark of document.querySelectorAll(`[data-mark="${reading.series}"]`)) {
    mark.className = `mark ${quality}`;
    mark.hidden = quality === "good";
    const why = reason ? (lang === "zh" ? "：" : ": ") + (texts[`reason.${reason}`] ?? reason) : "";
    mark.textContent = quality === "good" ? "" : texts[`quality.${quality}`] + why;
  }
  return true;
}

const newest = new Map();
function onReadings({ readings }) {
  let door = false;
  for (const reading of readings) {
    const fresh = !newest.has(reading.series);
    newest.set(reading.series, reading);
    if (!show(reading) && fresh) refresh("devices", 2 * SECOND); // a card may leave points out: ask once
    door ||= reading.point.endsWith("/door_open");
  }
  if (door) refresh("rooms", 2 * SECOND);
  countAges();
}

// The feed.
const link = document.getElementById("link");
function tell(state, key) {
  link.hidden = false;
  link.className = `link ${state}`;
  link.textContent = fill(key);
}
function listen() {
  const feed = new EventSource(`/api/v1/live?lang=${lang}`);
  tell("", "page.connecting");
  feed.addEventListener("open", () => tell("on", "page.live"));
  feed.addEventListener("error", () => {
    tell("off", "page.offline");
    if (feed.readyState === EventSource.CLOSED) setTimeout(listen, 5 * SECOND);
  });
  feed.addEventListener("resync", (event) => {
    const told = JSON.parse(event.data).time;
    if (told) ahead = Date.parse(told) - Date.now();
    FRAGMENTS.forEach((part) => refresh(part));
  });
  feed.addEventListener("readings", (event) => onReadings(JSON.parse(event.data)));
  feed.addEventListener("alarm", () => { refresh("status", 100); refresh("rooms", 500); });
  feed.addEventListener("gateway", () => refresh("gateways", 500));
  addEventListener("pagehide", () => feed.close(), { once: true });
}

// Acknowledging without leaving the page; without this module the form does it.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form.acknowledge")) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const { actor, comment } = Object.fromEntries(new FormData(form));
  const body = JSON.stringify({ actor: actor.trim() || "operator", comment: comment.trim() });
  try {
    await fetch(`/api/v1/alarms/${form.dataset.alarm}/acknowledge`, { method: "POST", headers: { "content-type": "application/json" }, body });
  } finally {
    button.disabled = false;
    button.blur();
    form.querySelector("details").open = false;
    refresh("status");
  }
});

document.getElementById("snapshot").hidden = true;
listen();
setInterval(countAges, SECOND);
setInterval(() => refresh("rooms"), 10 * SECOND);
setInterval(() => { refresh("status"); refresh("gateways"); }, 15 * SECOND);
