// Makes elements. Text is set as text and never as markup, whatever it says: names come from other people's objects.

// Whether there is room for one column alone, as in page.css.
export const narrow = matchMedia("(max-width: 900px)");

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("aria-") || name === "role" || name === "scope") made.setAttribute(name, value);
    else if (name.startsWith("data-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// Writes only what is different, so that an unchanged row costs no layout.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}
