// Changes of tenants. The token is typed by who uses the page and kept for the tab; it is
// sent with a change and with nothing else.

import { attr, byId, text } from "./dom.js";
import { moment } from "./format.js";

const dialog = byId("edit");
const form = dialog.querySelector("form");
const answer = byId("edit-answer");
const names = ["weight", "max_in_flight", "rate", "ttl", "paused", "token"]; // of the fields, and of the worker's keys
const kept = "spillway-token";
const patience = 20_000; // ms; the worker gives up sooner
let open = null; // the tenant that the dialog is about
let changed = () => {};

/** onChange has f called with what a tenant is like after a change. */
export function onChange(f) {
  changed = f;
}

/** canAsk reports whether a browser can name a tenant in a path: it takes dots alone for directories. */
export const canAsk = (tenant) => tenant !== "." && tenant !== "..";

/** change opens the dialog for a tenant. */
export function change(t) {
  open = t;
  text(byId("edit-tenant"), t.tenant);
  const f = form.elements;
  f.weight.value = t.weight;
  f.max_in_flight.value = t.max_in_flight;
  f.rate.value = t.rate ?? "";
  f.ttl.value = "";
  f.paused.checked = t.paused;
  f.token.value = sessionStorage.getItem(kept) ?? "";
  for (const e of form.querySelectorAll("[data-set]")) text(e, setBy(t.override?.[e.dataset.set]));
  f.reset.hidden = !t.override;
  tell({});
  if (!dialog.open) dialog.showModal();
}

const setBy = (o) => (o ? `set by hand${o.until ? ` until ${moment(Date.parse(o.until))}` : ""}` : "");

/** pause stops or resumes a tenant at once, if there is a token; else it asks for it. */
export async function pause(t, button) {
  const paused = !t.paused;
  const token = sessionStorage.getItem(kept);
  let wrong = { token: "The token is needed." };
  if (token) {
    button.disabled = true;
    wrong = await send("PATCH", t.tenant, token, { paused });
    button.disabled = false;
  }
  if (!wrong) return;
  change(t);
  form.elements.paused.checked = paused;
  tell(wrong);
}

form.addEventListener("submit", (e) => {
  e.preventDefault();
  const { body, wrong } = changes(open, form.elements);
  if (wrong) return tell(wrong);
  apply("PATCH", body);
});
form.elements.reset.addEventListener("click", () => apply("DELETE"));
form.elements.cancel.addEventListener("click", () => dialog.close());

/** changes is what was typed, less what is as it was; a time alone is for all that is set by hand. */
function changes(t, f) {
  const number = (field) => (field.value.trim() === "" ? NaN : Number(field.value.trim().replace(",", ".")));
  const values = { weight: number(f.weight), max_in_flight: number(f.max_in_flight), rate: f.rate.value.trim(), paused: f.paused.checked };
  const wrong = {};
  for (const name of ["weight", "max_in_flight"]) {
    if (!Number.isFinite(values[name])) wrong[name] = `“${f[name].value}” is no number.`;
  }
  if (Object.keys(wrong).length > 0) return { wrong };
  const was = { ...t, rate: t.rate ?? "" };
  const ttl = f.ttl.value.trim();
  let which = Object.keys(values).filter((name) => values[name] !== was[name]);
  if (which.length === 0 && ttl) which = Object.keys(t.override ?? {});
  if (which.length === 0) return { wrong: ttl ? { ttl: "Nothing is set that could end then." } : { all: "Nothing was changed." } };
  const body = Object.fromEntries(which.map((name) => [name, values[name]]));
  return { body: ttl ? { ...body, ttl } : body };
}

async function apply(method, body) {
  const t = open;
  const token = form.elements.token.value;
  if (!token) return tell({ token: "The token is needed." });
  const buttons = [form.elements.apply, form.elements.reset];
  buttons.forEach((b) => attr(b, "disabled", true));
  const wrong = await send(method, t.tenant, token, body);
  buttons.forEach((b) => attr(b, "disabled", false));
  if (!dialog.open || open !== t) return; // somebody did not wait
  if (wrong) return tell(wrong);
  tell({});
  dialog.close();
}

/** tell shows what is wrong where it is, by the names of fields, and leads there; all is about none of them. */
function tell(wrong) {
  text(answer, wrong.all ?? "");
  for (const name of names) {
    text(byId(`wrong-${name}`), wrong[name] ?? "");
    attr(form.elements[name], "aria-invalid", Boolean(wrong[name]) && "true");
  }
  const first = names.find((name) => wrong[name]);
  if (!first) return;
  form.elements[first].focus();
  form.elements[first].select?.();
}

/** send returns what was wrong, null if nothing was. The token is kept once it was right. */
async function send(method, tenant, token, body) {
  let response, said;
  try {
    response = await fetch(`api/v1/tenants/${encodeURIComponent(tenant)}`, {
      method,
      credentials: "omit", // or a browser asks for a password of its own when the token is wrong
      headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
    });
    said = await response.text();
  } catch {
    return { all: "The worker does not answer. The table shows whether it was changed, once it does." };
  }
  if (response.ok) {
    sessionStorage.setItem(kept, token);
    changed(JSON.parse(said));
    return null;
  }
  if (response.status === 401) {
    sessionStorage.removeItem(kept);
    return { token: "This is not the worker's token. Nothing was changed." };
  }
  return refusal(response, said.trim().slice(0, 1000));
}

/** refusal puts each line of what the worker says to the field that it begins with. */
function refusal(response, said) {
  const wrong = {}, rest = [];
  for (const line of said.split("\n").filter(Boolean)) {
    const name = response.status === 400 && names.find((n) => line.startsWith(`${n} `));
    if (name) wrong[name] ??= line;
    else rest.push(line);
  }
  if (rest.length > 0 || said === "") wrong.all = `The worker refused it: ${rest.join("; ") || response.statusText || response.status}`;
  return wrong;
}
