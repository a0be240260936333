// What is wrong with the page as it is now, as a list of texts.

const channel = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
const parse = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);

// Relative luminance, and below the contrast of 4.5, as WCAG 2.1 defines them.
function luminance([r, g, b]) {
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
}

function behind(element) {
  for (let each = element; each; each = each.parentElement) {
    const found = parse(getComputedStyle(each).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found;
  }
  return [255, 255, 255];
}

const faults = [];
for (const element of document.querySelectorAll("body *:not(script):not(style)")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !element.getClientRects().length || element.closest("svg, :disabled")) continue;
  const style = getComputedStyle(element);
  const [a, b] = [luminance(parse(style.color)), luminance(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const where = `${element.tagName} "${element.textContent.slice(0, 30)}"`;
  if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)} of ${where}`);
  if (parseFloat(style.fontSize) < 12) faults.push(`${style.fontSize} of ${where}`);
}
for (const element of document.querySelectorAll("button, input, [role=button], [role=region]")) {
  const named = element.getAttribute("aria-label") || element.textContent.trim();
  if (!named && !(element.labels && element.labels.length)) faults.push(element.outerHTML);
  const { width, height } = element.getBoundingClientRect();
  if (width && element.matches("button, input") && Math.min(width, height) < 24) {
    faults.push(`${width} by ${height}: ${element.outerHTML}`);
  }
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
faults.push(...ids.filter((id, i) => ids.indexOf(id) !== i));
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) faults.push(`the page is ${wide} pixels wider than the window`);
return faults;
