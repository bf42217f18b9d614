// Live pages, "my services", finding by typing. Everything also works without this file.
"use strict";
(() => {
  const root = document.documentElement, language = root.lang;
  root.classList.add("js");
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const main = $("main");

  // --- my services: kept in this browser alone ---
  const KEY = "my-services";
  const mine = () => {
    try { return new Set(JSON.parse(localStorage.getItem(KEY)) || []); } catch { return new Set(); }
  };
  const star = (item, chosen) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "star";
    button.textContent = chosen ? "★" : "☆";
    button.setAttribute("aria-pressed", chosen);
    button.setAttribute("aria-label", `${$("#mine").dataset.add} ${$(".who a", item).textContent}`);
    item.prepend(button);
  };
  const showMine = () => {
    const section = $("#mine");
    if (!section) return;
    const chosen = mine(), list = $("ul", section);
    list.replaceChildren();
    $$("#services li[data-code]").forEach((item) => {
      $(".star", item)?.remove();
      const is = chosen.has(item.dataset.code);
      if (is) {
        const copy = item.cloneNode(true);
        copy.removeAttribute("id");
        copy.hidden = false;
        star(copy, true);
        list.append(copy);
      }
      star(item, is);
    });
    section.hidden = !list.children.length;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".star, .copy");
    if (!button) return;
    if (button.matches(".copy")) {
      navigator.clipboard.writeText(button.dataset.copy).then(() => { button.textContent = button.dataset.done; });
      return;
    }
    const code = button.closest("li").dataset.code, chosen = mine();
    if (!chosen.delete(code)) chosen.add(code);
    try { localStorage.setItem(KEY, JSON.stringify([...chosen])); } catch { /* private browsing */ }
    keeping(showMine);
  });

  // --- find a service by typing ---
  const plain = (text) => text.toLowerCase().replaceAll("ł", "l").normalize("NFD").replace(/\p{M}/gu, "");
  const find = () => {
    const field = $("#filter");
    if (!field) return;
    const wanted = plain(field.value.trim());
    let found = 0;
    $$("#services .group").forEach((group) => {
      let here = 0;
      $$("li", group).forEach((item) => {
        const fits = plain($(".who", item).textContent + item.dataset.code).includes(wanted);
        item.hidden = !fits;
        here += fits;
      });
      group.hidden = !here;
      found += here;
    });
    $("#no-match").hidden = found > 0;
  };
  document.addEventListener("input", (event) => { if (event.target.id === "filter") find(); });

  // --- time: the reader's own zone as a hint, and how long ago ---
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const own = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
  const ago = (at) => {
    const seconds = (at - Date.now()) / 1000;
    const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, size]) => Math.abs(seconds) >= size) || ["minute", 60];
    return words.format(Math.trunc(seconds / size), unit);
  };
  const times = () => {
    $$("time", main).forEach((time) => {
      const at = new Date(time.dateTime);
      time.title = main.dataset.here ? `${own.format(at)} (${main.dataset.here})` : own.format(at);
    });
    $$("[data-ago]", main).forEach((place) => {
      let note = $(".ago", place);
      if (!note) {
        note = document.createElement("span");
        note.className = "ago when";
        place.append(" ", note);
      }
      note.textContent = `(${ago(new Date($("time", place).dateTime))})`;
    });
  };

  const dress = () => {
    $$(".filter, .copy", main).forEach((element) => { element.hidden = false; });
    showMine();
    find();
    times();
  };

  // --- news: the page is fetched again and what changed is put in place ---
  const place = (element) => {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const item = element.closest("li[data-code], [id]"), href = element.getAttribute("href");
    const self = element.matches(".star") ? ".star" : href ? `a[href="${CSS.escape(href)}"]` : element.localName;
    if (!item || item === main) return self;
    const within = item.closest("#mine") ? "#mine " : "#services ";
    return item.dataset.code ? `${within}[data-code="${item.dataset.code}"] ${self}` : `#${CSS.escape(item.id)} ${self}`;
  };
  // Runs `change` without moving what the reader looks at, types into or has opened.
  const keeping = (change) => {
    const active = main.contains(document.activeElement) && document.activeElement !== main ? place(document.activeElement) : null;
    const field = $("#filter"), typed = field?.value, caret = field?.selectionStart;
    const open = $$("details[open][id]", main).map((element) => element.id);
    const anchor = scrollY > 0 && $$("[id]", main).find((element) => element.getBoundingClientRect().top >= 0);
    const top = anchor && anchor.getBoundingClientRect().top;
    change();
    if (typed && $("#filter")) { $("#filter").value = typed; find(); }
    open.forEach((id) => $(`#${CSS.escape(id)}`)?.setAttribute("open", ""));
    if (active && !main.contains(document.activeElement)) {
      ($(active, main) || main).focus({ preventScroll: true });
      if (active === "#filter") $("#filter")?.setSelectionRange(caret, caret);
    }
    const again = anchor && anchor.id && $(`#${CSS.escape(anchor.id)}`);
    if (again) scrollBy({ top: again.getBoundingClientRect().top - top, behavior: "instant" });
  };
  const replace = (page) => {
    const next = $("main", page);
    const before = $("h1")?.textContent;
    const known = new Map($$("[id]", main).map((element) => [element.id, element.className]));
    document.title = page.title;
    const icon = $("link[rel=icon]", page);
    if (icon) $("link[rel=icon]").href = icon.href;
    keeping(() => {
      main.replaceChildren(...next.childNodes);
      dress();
    });
    main.dataset.seq = next.dataset.seq;
    main.dataset.built = next.dataset.built;
    if ($("#built", page)) $("#built").replaceWith($("#built", page));
    $$(".headline, .notice-card, .services li[id]", main).forEach((element) => {
      if (element.id && known.get(element.id) !== element.className) element.classList.add("fresh");
    });
    if ($("h1")?.textContent !== before) $("#news").textContent = $("h1").textContent;
  };
  let wanted = 0, fetching = false;
  const refresh = async (tries = 5) => {
    if (fetching) return;
    fetching = true;
    try {
      // Not all readers at once.
      await new Promise((done) => setTimeout(done, Math.random() * 800));
      const target = wanted, answer = await fetch(location.href, { cache: "no-cache" });
      if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      fetching = false;
      if (+main.dataset.seq < Math.max(target, wanted) && tries > 1) refresh(tries - 1);
    } catch {
      fetching = false;
      if (tries > 1) setTimeout(refresh, 3000, tries - 1);
    }
  };
  const hear = (message) => {
    const seq = JSON.parse(message.data).seq;
    if (seq > Math.max(wanted, +main.dataset.seq)) { wanted = seq; refresh(); }
  };

  // --- a page older than its promise says so: asked again first, so that a quiet page is not accused ---
  const past = () => Date.now() / 1000 - main.dataset.built > +main.dataset.staleAfter;
  const stale = (is) => {
    let note = $("#stale");
    if (is && !note) {
      note = document.createElement("p");
      note.id = "stale";
      note.className = "connection stale";
      note.setAttribute("role", "alert");
      document.body.append(note);
      note.textContent = `${main.dataset.stale} ${$("#built time").textContent}.`;
    } else if (!is) note?.remove();
  };
  let next = 0;
  const age = async () => {
    if (!past()) return stale(false);
    if (document.hidden || fetching || performance.now() < next) return;
    next = performance.now() + 25000;
    try {
      const answer = await fetch(location.href, { cache: "no-cache" });
      if (!answer.ok) return stale(true);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html"), fresh = $("main", page);
      const now = new Date(answer.headers.get("Date") || Date.now()) / 1000;  // the reader's clock may be wrong
      const old = now - fresh.dataset.built > +main.dataset.staleAfter;
      if (fresh.dataset.built !== main.dataset.built) replace(page);
      stale(old);
      if (!old) next = performance.now() + main.dataset.staleAfter * 1000;
    } catch { stale(true); }
  };

  let failures = 0, socket = null, timer = 0;
  const lost = (is) => {
    let note = $("#connection");
    if (is && !note) {
      note = document.createElement("p");
      note.id = "connection";
      note.className = "connection";
      note.textContent = main.dataset.lost;
      document.body.append(note);
    } else if (!is) note?.remove();
  };
  const connect = () => {
    clearTimeout(timer);
    if (socket) return;
    // Some office proxies let no WebSocket through; they get server-sent events.
    const since = `?since=${main.dataset.seq}`, byEvents = failures % 3 === 2;
    const mine = socket = byEvents ? new EventSource(`/live/events${since}`) : new WebSocket(`${location.origin.replace("http", "ws")}/live${since}`);
    const over = () => {
      if (socket !== mine) return;
      socket = null;
      mine.close();
      failures += 1;
      if (failures > 2) lost(true);
      timer = setTimeout(connect, Math.min(60, 2 ** failures) * 1000 * (.5 + Math.random()));
    };
    mine.onopen = () => { failures = 0; lost(false); };
    mine.onmessage = hear;
    mine.onerror = over;
    mine.onclose = over;
  };

  dress();
  if (!("seq" in main.dataset)) return;
  setInterval(() => { times(); age(); }, 30000);
  setTimeout(age, 5000);
  // The board shows more than what is published: checks and queues have no event of their own.
  if (main.dataset.every) setInterval(() => { if (!document.hidden) refresh(1); }, main.dataset.every * 1000);
  connect();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { times(); age(); connect(); } });
  addEventListener("online", connect);
  addEventListener("pagehide", () => { const open = socket; socket = null; open?.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
})();
