// Times of polls: in the visitor's own zone too, where its clocks differ, and what they say when the moment has passed.
// Without this script a page shows the times of the poll's zone, as they were when it was made.

const language = document.documentElement.lang;

// The time as clocks show it in a zone; in that of the visitor without one.
function clock(at, options, timeZone) {
  return new Intl.DateTimeFormat(`${language}-u-nu-latn`, { ...options, hourCycle: "h23", timeZone }).format(at);
}

const DATE = { dateStyle: "medium" }, TIME = { timeStyle: "short" };

function addLocalTime(time) {
  const { zone } = time.closest("[data-zone]").dataset, at = new Date(time.dateTime);
  const isSame = (options) => clock(at, options, zone) === clock(at, options);
  if (isSame(DATE) && isSame(TIME)) return;
  const own = document.createElement("bdi");
  const shown = clock(at, isSame(DATE) ? TIME : { ...DATE, ...TIME });
  own.className = "no-print";
  own.textContent = ` (${document.body.dataset.yourTime.replace("{time}", shown)})`;
  time.append(own);
}

// A line names the moment at which the line behind it takes its place.
function follow(line) {
  // What to add to this machine's clock for the server's, in milliseconds.
  const ahead = 1000 * line.dataset.turns - Date.now();
  const timer = setInterval(() => {
    // The page names whole seconds, cut off.
    if (Date.now() + ahead < Date.parse(line.querySelector("time").dateTime) + 1000) return;
    clearInterval(timer);
    line.hidden = true;
    line.nextElementSibling.hidden = false;
  }, 1000);
}

for (const time of document.querySelectorAll("[data-zone] time")) {
  try {
    addLocalTime(time);
  } catch {
    // A browser that does not know the zone shows it alone.
  }
}
document.querySelectorAll("[data-turns]").forEach(follow);
