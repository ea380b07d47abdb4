// The form of a poll. Without this file a button adds rows, and the time zone is UTC at first.

const grower = document.querySelector("[data-grows]");

function addRow(rows) {
  if (rows.children.length >= grower.dataset.most) return;
  const row = rows.lastElementChild.cloneNode(true);
  row.querySelector("p")?.remove();
  const input = row.querySelector("input");
  for (const name of ["aria-invalid", "aria-describedby"]) input.removeAttribute(name);
  input.classList.remove("is-invalid");
  input.value = "";
  input.setAttribute("aria-label", grower.dataset.label.replace("{number}", rows.children.length + 1));
  rows.append(row);
}

if (grower) {
  const rows = grower.querySelector("ol");
  grower.querySelector("[name=more]").hidden = true;
  grower.addEventListener("input", (event) => {
    if (event.target.value && event.target.closest("li") === rows.lastElementChild) addRow(rows);
  });
  // Enter goes on to the next choice, as in any list.
  grower.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.target.name !== "choices") return;
    event.preventDefault();
    event.target.closest("li").nextElementSibling?.querySelector("input").focus();
  });
}

// On a form that is begun, the time zone of whoever begins it.
const zone = document.querySelector("select[data-guess]");
const guess = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && [...zone.options].some((option) => option.value === guess)) zone.value = guess;
