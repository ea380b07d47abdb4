// Keeps the results true while somebody looks at them. Without it there is a link to refresh the page.

// Milliseconds without an answer; and how many times slower it asks at most, after errors.
const PATIENCE = 20000, SLOWEST = 12;
const percent = new Intl.NumberFormat("en", { maximumFractionDigits: 1, roundingMode: "halfEven" });
const many = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

function watch(part) {
  const { watch: url, key, askEvery, tellEvery } = part.dataset;
  const find = (name) => part.querySelector(`[data-${name}]`);
  const hint = find("live"), told = find("told"), link = part.querySelector(".live a");
  let countedAt = Date.parse(part.dataset.countedAt);
  let etag, timer, news, toldAt = -Infinity, failures = 0, isAsking = false, isClosed = false, isOver = false;

  function say(words, isLive) {
    hint.textContent = words;
    hint.dataset.live = isLive ? "on" : "off";
    hint.hidden = false;
    link.hidden = isLive;
  }

  function end(words) {
    isOver = true;
    say(words, false);
    told.textContent = words;
  }

  function tell() {
    if (!news || isOver || performance.now() - toldAt < 1000 * tellEvery) return;
    told.textContent = news;
    toldAt = performance.now();
    news = "";
  }

  function show({ voters, choices, summary }) {
    for (const { id, votes } of choices) {
      const row = part.querySelector(`[data-choice="${id}"]`), bar = row.querySelector("progress");
      const share = `${percent.format(voters && (100 * votes) / voters)} %`;
      row.querySelector(".bar-number").textContent = `${many(votes, "vote")} · ${share}`;
      bar.max = voters || 1;
      bar.value = votes;
      bar.textContent = share;
    }
    const total = `${many(voters, "voter")}, one proven phone number each.`;
    if (find("summary").textContent !== summary || find("voters").textContent !== total) {
      news = `${many(voters, "voter")}. ${summary}`;
    }
    find("summary").textContent = summary;
    find("voters").textContent = total;
  }

  function take(results, tag) {
    const at = Date.parse(results.counted_at), { open, closes_at: closesAt } = results.question;
    isClosed = !open && closesAt !== null && Date.parse(closesAt) <= at;
    // Another process may have counted earlier than what stands here.
    if (at <= countedAt && !isClosed) return;
    [etag, countedAt] = [tag, at];
    const shown = [...part.querySelectorAll("[data-choice]")].map((row) => Number(row.dataset.choice));
    if (String(shown) !== String(results.choices.map(({ id }) => id))) end("The answers of this poll have changed.");
    else show(results);
  }

  async function ask() {
    const wasClosed = isClosed, headers = {};
    if (etag) headers["If-None-Match"] = etag;
    if (key) headers["X-Watch-Key"] = key;
    const signal = AbortSignal.timeout(PATIENCE);
    const answer = await fetch(url, { headers, signal, cache: "no-store", redirect: "manual" });
    if (answer.type === "opaqueredirect" || [403, 404].includes(answer.status)) {
      return end("These results are not kept up to date here any more.");
    }
    if (answer.ok) take(await answer.json(), answer.headers.get("ETag"));
    else if (answer.status !== 304) throw new Error(answer.status);
    // One answer more, for votes that were under way at the close.
    if (wasClosed && !isOver) {
      end("Voting has closed. These are the final numbers.");
      document.querySelector("[data-while-open]")?.setAttribute("hidden", "");
    }
  }

  async function round() {
    clearTimeout(timer);
    if (document.hidden || isAsking || isOver) return;
    isAsking = true;
    try {
      await ask();
      failures = 0;
      if (!isOver) say("Live", true);
    } catch {
      failures += 1;
      say("The site does not answer. Trying again.", false);
    }
    isAsking = false;
    tell();
    if (!isOver) timer = setTimeout(round, 1000 * askEvery * Math.min(2 ** failures, SLOWEST));
  }

  say("Live", true);
  document.addEventListener("visibilitychange", round);
  timer = setTimeout(round, 1000 * askEvery);
}

document.querySelectorAll("[data-watch]").forEach(watch);
