// Keeps the results true while somebody looks at them. Without it there is a link to refresh the page.

// Milliseconds without an answer; and how many times slower it asks at most, after errors.
const PATIENCE = 20000, SLOWEST = 12;
const plurals = new Intl.PluralRules(document.documentElement.lang);

// The percentages of one table, as polls/shares.py writes them: rounded half up from whole numbers, all with the same
// decimals; some votes are never 0 %, and less than all votes are never 100 %.
function percents(votes, voters, decimal) {
  const tenths = votes.map((n) => {
    const numerator = 2000 * n + voters, denominator = 2 * voters;
    return voters && (numerator - (numerator % denominator)) / denominator;
  });
  const isDenied = (n, i) => (n <= 0 && votes[i] > 0) || (n >= 1000 && votes[i] < voters);
  if (!tenths.some(isDenied) && tenths.every((n) => n % 10 === 0)) return tenths.map((n) => String(n / 10));
  return tenths.map((n, i) => {
    if (isDenied(n, i)) return n ? `> 99${decimal}9` : `< 0${decimal}1`;
    return `${(n - (n % 10)) / 10}${decimal}${n % 10}`;
  });
}

// Whether a percentage of the table is not exact.
const areRounded = (votes, voters) => votes.some((n) => voters && (1000 * n) % voters !== 0);

function watch(part) {
  const { watch: url, key, askEvery, tellEvery } = part.dataset;
  const texts = JSON.parse(part.dataset.texts);
  const find = (name) => part.querySelector(`[data-${name}]`);
  const hint = find("live"), told = find("told"), link = part.querySelector(".live a");
  let countedAt = Date.parse(part.dataset.countedAt);
  let etag, timer, news, toldAt = -Infinity, failures = 0, isAsking = false, isClosed = false, isOver = false;

  // Numbers as the server writes them, which knows fewer rules than the browser.
  const whole = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, texts.group);
  const fill = (text, values) => text.replace(/%\((\w+)\)s|%%/g, (mark, name) => (name ? values[name] : "%"));

  // Of the sentences for some numbers, that for a number of which this language speaks alike.
  function counted(sentences, n, values) {
    const like = texts.samples.findIndex((sample) => plurals.select(sample) === plurals.select(n));
    return fill(sentences[like < 0 ? sentences.length - 1 : like], values);
  }

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
    const votesOf = choices.map(({ votes }) => votes), most = Math.max(...votesOf);
    const shares = percents(votesOf, voters, texts.decimal);
    choices.forEach(({ id, votes }, i) => {
      const row = part.querySelector(`[data-choice="${id}"]`), bar = row.querySelector("progress");
      const percent = shares[i];
      row.querySelector(".bar-number").textContent = counted(texts.bar, votes, { votes: whole(votes), percent });
      bar.max = voters || 1;
      bar.value = votes;
      bar.textContent = fill(texts.percent, { percent });
      row.classList.toggle("leads", votes > 0 && votes === most);
    });
    find("rounded")?.classList.toggle("invisible", !areRounded(votesOf, voters));
    const total = voters ? counted(texts.voters, voters, { number: whole(voters) }) : texts.none;
    if (find("voters").textContent !== total) document.querySelector("[data-older]")?.removeAttribute("hidden");
    if (find("summary").textContent !== summary || find("voters").textContent !== total) {
      news = `${counted(texts.news, voters, { number: whole(voters) })} ${summary}`;
    }
    find("summary").textContent = summary;
    find("voters").textContent = total;
  }

  // The poll's end may be moved while its results are looked at.
  function showEnd(closesAt) {
    const lines = closesAt ? [...document.querySelectorAll("[data-turns], [data-turns] + [data-zone]")] : [];
    for (const line of lines) {
      const time = line.querySelector("time"), at = new Date(closesAt), timeZone = line.dataset.zone;
      if (Math.floor(at / 1000) === Date.parse(time.dateTime) / 1000) continue;
      const form = { dateStyle: "long", timeStyle: "short", hourCycle: "h23", timeZone };
      time.dateTime = `${at.toISOString().slice(0, 19)}+00:00`;
      time.textContent = `${new Intl.DateTimeFormat(document.documentElement.lang, form).format(at)} (${timeZone})`;
    }
  }

  function take(results, tag) {
    const at = Date.parse(results.counted_at), { open, closes_at: closesAt } = results.question;
    isClosed = !open && closesAt !== null && Date.parse(closesAt) <= at;
    showEnd(closesAt);
    // Another process may have counted earlier than what stands here.
    if (at <= countedAt && !isClosed) return;
    [etag, countedAt] = [tag, at];
    const shown = [...part.querySelectorAll("[data-choice]")].map((row) => Number(row.dataset.choice));
    if (String(shown) !== String(results.choices.map(({ id }) => id))) end(texts.changed);
    else show(results);
  }

  async function ask() {
    const wasClosed = isClosed, headers = {};
    if (etag) headers["If-None-Match"] = etag;
    if (key) headers["X-Watch-Key"] = key;
    const signal = AbortSignal.timeout(PATIENCE);
    const answer = await fetch(url, { headers, signal, cache: "no-store", redirect: "manual" });
    if (answer.type === "opaqueredirect" || [403, 404].includes(answer.status)) {
      return end(texts.stopped);
    }
    if (answer.ok) take(await answer.json(), answer.headers.get("ETag"));
    else if (answer.status !== 304) throw new Error(answer.status);
    // One answer more, for votes that were under way at the close.
    if (wasClosed && !isOver) {
      end(texts.closed);
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
      if (!isOver) say(texts.live, true);
    } catch {
      failures += 1;
      say(texts.silent, false);
    }
    isAsking = false;
    tell();
    if (!isOver) timer = setTimeout(round, 1000 * askEvery * Math.min(2 ** failures, SLOWEST));
  }

  say(texts.live, true);
  document.addEventListener("visibilitychange", round);
  timer = setTimeout(round, 1000 * askEvery);
}

document.querySelectorAll("[data-watch]").forEach(watch);
