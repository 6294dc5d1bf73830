// Changes of tenants. The token is typed by who uses the page and kept for the tab; it is
// sent with a change and with nothing else.

import { attr, byId, text } from "./dom.js";
import { isPaused } from "./tenants.js";

const dialog = byId("edit");
const form = dialog.querySelector("form");
const answer = byId("edit-answer");
const kept = "spillway-token";
let open = null; // the tenant that the dialog is about

/** change opens the dialog for a tenant. */
export function change(t, message = "") {
  open = t;
  text(byId("edit-tenant"), t.tenant);
  const f = form.elements;
  f.weight.value = t.weight;
  f.max_in_flight.value = t.max_in_flight;
  f.rate.value = t.rate ?? "";
  f.ttl.value = "";
  f.paused.checked = isPaused(t);
  f.token.value = sessionStorage.getItem(kept) ?? "";
  text(answer, message);
  if (!dialog.open) dialog.showModal();
}

/** pause stops or resumes a tenant at once, if there is a token; else it asks for it. */
export async function pause(t, button) {
  const paused = !isPaused(t);
  const token = sessionStorage.getItem(kept);
  if (!token) {
    change(t, "The token is needed.");
    form.elements.paused.checked = paused;
    form.elements.token.focus();
    return;
  }
  button.disabled = true;
  const wrong = await send("PATCH", t.tenant, token, { paused });
  button.disabled = false;
  if (wrong) {
    change(t, wrong);
    form.elements.paused.checked = paused;
  }
}

form.addEventListener("submit", async (e) => {
  e.preventDefault();
  const { body, wrong } = changes(open, form.elements);
  if (wrong) return text(answer, wrong);
  await apply("PATCH", body);
});
form.elements.reset.addEventListener("click", () => apply("DELETE"));
form.elements.cancel.addEventListener("click", () => dialog.close());

/** changes is what was typed, less what is as it was. */
function changes(t, f) {
  const body = {};
  const number = (field, label, was) => {
    const n = Number(field.value.trim().replace(",", "."));
    if (field.value.trim() === "" || !Number.isFinite(n)) return `${label} is “${field.value}”, must be a number.`;
    if (n !== was) body[field.name] = n;
    return null;
  };
  const wrong = number(f.weight, "The weight", t.weight) ?? number(f.max_in_flight, "Most in flight", t.max_in_flight);
  if (wrong) return { wrong };
  if (f.rate.value.trim() !== (t.rate ?? "")) body.rate = f.rate.value.trim();
  if (f.paused.checked !== isPaused(t)) body.paused = f.paused.checked;
  if (Object.keys(body).length === 0) return { wrong: "Nothing was changed." };
  if (f.ttl.value.trim()) body.ttl = f.ttl.value.trim();
  return { body };
}

async function apply(method, body) {
  const token = form.elements.token.value;
  if (!token) {
    text(answer, "The token is needed.");
    form.elements.token.focus();
    return;
  }
  const buttons = [form.elements.apply, form.elements.reset];
  buttons.forEach((b) => attr(b, "disabled", true));
  const wrong = await send(method, open.tenant, token, body);
  buttons.forEach((b) => attr(b, "disabled", false));
  text(answer, wrong ?? "");
  if (!wrong) dialog.close();
}

/** send returns what was wrong, null if nothing was. The token is kept once it was right. */
async function send(method, tenant, token, body) {
  let response;
  try {
    response = await fetch(`api/v1/tenants/${encodeURIComponent(tenant)}`, {
      method,
      credentials: "omit", // or a browser asks for a password of its own when the token is wrong
      headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
      body: body && JSON.stringify(body),
    });
  } catch {
    return "The worker cannot be reached. Nothing was changed.";
  }
  if (response.ok) {
    sessionStorage.setItem(kept, token);
    return null;
  }
  if (response.status === 401) {
    sessionStorage.removeItem(kept);
    return "This token is not the worker's. Nothing was changed.";
  }
  const said = (await response.text()).trim().slice(0, 500);
  return `The worker refused it: ${said || response.statusText}`;
}
