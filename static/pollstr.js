// Conveniences only: every page works without this file.

// One click sends a form once. The name of the button is not sent, so it may be disabled.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method !== "post") return;
  if (stopAtBadInput(form)) {
    event.preventDefault();
    return;
  }
  // The browser's own page would take the place of what was typed.
  if (!navigator.onLine) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
  // The page may stay, where the connection failed or the person stopped it: then it may be sent again.
  setTimeout(() => mayBeSent(form), 10000);
});

// What a browser cannot read, such as half a date, it sends as empty, and empty has a meaning.
function stopAtBadInput(form) {
  const bad = [...form.elements].filter((field) => field.validity?.badInput);
  bad.forEach(tellBadInput);
  bad[0]?.focus();
  return bad.length > 0;
}

function tellBadInput(field) {
  for (let part = field.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  const id = `${field.id || field.name}-bad-input`;
  if (document.getElementById(id)) return;
  const words = document.createElement("p");
  words.id = id;
  words.className = "invalid-feedback";
  words.textContent = field.dataset.badInput || field.validationMessage;
  field.after(words);
  const described = field.getAttribute("aria-describedby");
  field.setAttribute("aria-describedby", described ? `${id} ${described}` : id);
  field.setAttribute("aria-invalid", "true");
  field.classList.add("is-invalid");
  field.addEventListener("input", () => {
    if (field.validity.badInput) return;
    words.remove();
    if (described) field.setAttribute("aria-describedby", described);
    else field.removeAttribute("aria-describedby");
    field.removeAttribute("aria-invalid");
    field.classList.remove("is-invalid");
  });
}

function mayBeSent(form) {
  delete form.dataset.sent;
  form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
}

// The way back shows the page as it was left: it may be sent again.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach(mayBeSent);
});

// Whoever loses the connection is told so, before something is sent.
const offline = document.querySelector("[data-offline]");
const tellConnection = () => { offline.textContent = navigator.onLine ? "" : offline.dataset.offline; };
window.addEventListener("offline", tellConnection);
window.addEventListener("online", tellConnection);
tellConnection();

// After an error the first field to mend comes first, its text selected to be typed over.
const faulty = document.querySelector("[aria-invalid=true]");
faulty?.focus();
faulty?.select?.();

// What is true from a moment on, such as that voting has closed. Longer waits than a day are left out.
for (const part of document.querySelectorAll("[data-after]")) {
  const seconds = Number(part.dataset.after);
  if (seconds < 24 * 3600) setTimeout(() => { part.hidden = false; }, 1000 * seconds);
}

// What the server may learn later, such as a message that was not delivered. Only while looked at.
for (const part of document.querySelectorAll("[data-refresh]")) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(part.dataset.refresh);
      if (!answer.ok || answer.redirected) return;
      const html = (await answer.text()).trim();
      if (html !== part.innerHTML.trim()) part.innerHTML = html;
    } catch {
      // Offline for a moment: the next round asks again.
    }
  }, 5000);
}

// Printing, copying and other apps need a script; what they offer can be had without.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const lines = [...document.querySelectorAll(button.dataset.copy)].map((line) => line.value ?? line.textContent);
    await navigator.clipboard.writeText(lines.join("\n"));
    button.textContent = button.dataset.copied;
  });
}

for (const part of document.querySelectorAll("[data-share]")) {
  if (!navigator.share) continue;
  part.hidden = false;
  part.addEventListener("click", async () => {
    try {
      await navigator.share({ title: document.querySelector("h1").textContent, url: part.dataset.share });
    } catch {
      // The person thought better of it.
    }
  });
}

// Buttons that the server would refuse for some seconds count them down.
for (const button of document.querySelectorAll("[data-wait-seconds]")) {
  const label = button.textContent, waiting = document.body.dataset.wait;
  const ready = Date.now() + 1000 * button.dataset.waitSeconds;
  const tick = () => {
    const left = Math.ceil((ready - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? waiting.replace("{label}", label).replace("{seconds}", left) : label;
    if (left > 0) setTimeout(tick, 250);
  };
  tick();
}
