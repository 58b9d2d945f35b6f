// Makes one tree of elements like another and leaves alone what is alike, so that focus, selection, open details and
// what is typed stay. Elements belong together by their id, else by their order.

// What scripts or people have changed and the gateway does not know.
const OWN = new Set(["open", "value", "checked", "style"]);

export function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(fresh);
    return;
  }
  // A chart or a map is drawn by its script, from attributes that may have changed.
  if ("keep" in old.dataset && "keep" in fresh.dataset) {
    attributes(old, fresh);
    return;
  }
  const isNews = "value" in old.dataset && old.dataset.value === fresh.dataset.value
    && old.textContent !== fresh.textContent;
  attributes(old, fresh);
  children(old, fresh);
  if (isNews) announce(old);
}

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !OWN.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !OWN.has(name)) old.setAttribute(name, value);
  }
  if (old.matches('input[type="hidden"]')) old.value = fresh.getAttribute("value") ?? "";
}

function children(old, fresh) {
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.id ? byId.get(wanted.id) : undefined;
    if (known) {
      if (known === place) place = place.nextSibling;
      else old.insertBefore(known, place);
      morph(known, wanted);
    } else if (place && !wanted.id && !place.id && place.nodeName === wanted.nodeName) {
      const next = place.nextSibling;
      morph(place, wanted);
      place = next;
    } else {
      old.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function announce(element) {
  element.classList.remove("news");
  // Reading the width lets the animation begin again.
  void element.offsetWidth;
  element.classList.add("news");
}
