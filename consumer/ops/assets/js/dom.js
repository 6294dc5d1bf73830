// The little that is needed to change a document. Text is only ever set as text: what
// tenants are called is somebody else's to choose.

/** h makes an element. Attributes whose value is null or false are left out. */
export function h(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attr(e, name, value);
  e.append(...children.filter((c) => c != null));
  return e;
}

/** attr sets an attribute, if it is another than it was; null and false remove it. */
export function attr(e, name, value) {
  if (value == null || value === false) e.removeAttribute(name);
  else if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value === true ? "" : value);
}

/** text sets what an element says, if it is something else than it said. */
export function text(e, s) {
  if (e.textContent !== String(s)) e.textContent = s;
}

/** byId are the elements that the page names. */
export const byId = (id) => document.getElementById(id);

/** fields finds the elements below e that show one value each, by their names. */
export function fields(e) {
  return Object.fromEntries([...e.querySelectorAll("[data-field]")].map((f) => [f.dataset.field, f]));
}

/**
 * keyed makes the children of a parent those of a list, in its order. An item keeps its
 * element for as long as it is in the list, and with it focus and scroll.
 */
export function keyed(parent, items, keyOf, make) {
  const had = (parent.kept ??= new Map());
  const keep = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const child = had.get(key) ?? make(item);
    keep.set(key, child);
    child.show(item);
    if (child.element === place) place = place.nextElementSibling;
    else parent.insertBefore(child.element, place);
  }
  for (const [key, child] of had) {
    if (keep.has(key)) continue;
    child.element.remove();
    child.remove?.();
  }
  parent.kept = keep;
}
