// The form of a poll. Without this file a button adds rows, and the time zone is UTC at first.

const grower = document.querySelector("[data-grows]");
const LINES = /[\r\n]+/;
// The server takes 400 fields in one form.
const MAX_ROWS = 300;

function addRow(rows) {
  const row = rows.lastElementChild.cloneNode(true);
  row.querySelector("p")?.remove();
  const input = row.querySelector("input");
  for (const name of ["aria-invalid", "aria-describedby", "autofocus"]) input.removeAttribute(name);
  input.classList.remove("is-invalid");
  input.value = "";
  input.setAttribute("aria-label", grower.dataset.label.replace("{number}", rows.children.length + 1));
  rows.append(row);
}

// The row below the last one in use, as long as a poll may have another choice.
function addEmptyRow(rows, row) {
  if (row === rows.lastElementChild && rows.children.length < grower.dataset.most) addRow(rows);
}

// Each pasted line is a choice: the first goes where the cursor is, the others into the empty rows below.
// There may be more than a poll can have: the server says so, and the rows let people take some out.
function pasteLines(event, rows) {
  const lines = event.clipboardData.getData("text").split(LINES).map((line) => line.trim()).filter(Boolean);
  const input = event.target;
  let row = input.closest("li");
  if (lines.length < 2 || rows.children.length + lines.length > MAX_ROWS) return;
  event.preventDefault();
  input.setRangeText(lines.shift(), input.selectionStart, input.selectionEnd, "end");
  for (const line of lines) {
    do {
      if (row === rows.lastElementChild) addRow(rows);
      row = row.nextElementSibling;
    } while (row.querySelector("input").value);
    row.querySelector("input").value = line;
  }
  addEmptyRow(rows, row);
  row.querySelector("input").focus();
}

if (grower) {
  const rows = grower.querySelector("ol");
  grower.querySelector("[name=more]").hidden = true;
  grower.addEventListener("input", (event) => {
    if (event.target.value) addEmptyRow(rows, event.target.closest("li"));
  });
  grower.addEventListener("paste", (event) => {
    if (event.target.name === "choices") pasteLines(event, rows);
  });
}

// Enter goes on to the next field. Without this file it shows the form again; it never saves.
document.querySelector("[data-form=poll]")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || event.target.localName !== "input") return;
  event.preventDefault();
  const fields = [...event.currentTarget.elements].filter((field) => field.checkVisibility() && field.tabIndex >= 0);
  fields[fields.indexOf(event.target) + 1]?.focus();
});

// On a form that is begun, the time zone of whoever begins it.
const zone = document.querySelector("select[data-guess]");
const guess = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && [...zone.options].some((option) => option.value === guess)) zone.value = guess;
