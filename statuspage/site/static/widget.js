// The status of Customs services on somebody else's page (docs/embedding.md). It needs no more of that page's content
// security policy than this origin under script-src and connect-src: no inline style, no HTML from text, no eval.
"use strict";
(() => {
  const script = document.currentScript, { services = "", lang = "", target = "" } = script.dataset;
  const own = document.documentElement.lang.slice(0, 2);
  const language = [lang, own].find((known) => ["pl", "en"].includes(known)) || "pl";
  const source = new URL(`widget/${language}.json`, script.src);
  const chosen = services.split(/[\s,]+/).filter(Boolean);
  const words = language === "pl"
    ? { name: "Stan usług celnych", lost: "Nie udało się sprawdzić stanu usług. Próbujemy dalej." }
    : { name: "State of Customs services", lost: "The state of the services could not be checked. We keep trying." };

  const host = document.createElement("div"), root = host.attachShadow({ mode: "open" });
  host.lang = language;
  // A sheet made in script is the page's own object: style-src does not concern it.
  const sheet = new CSSStyleSheet();
  const both = (name, light, dark) => `${name}:${light};${name}:light-dark(${light},${dark});`;
  const hues = { ok: ["#0a6e5f", "#4cc3a1"], slow: ["#7a5200", "#e3b341"], part: ["#9c4200", "#ff9d5c"], down: ["#b3121d", "#ff8585"],
    work: ["#3d4fa8", "#a5b4fc"], none: ["#55606b", "#a9b5c1"] };
  sheet.replaceSync(`:host{display:block;font:1rem/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;text-align:start}
:host([hidden]){display:none}
section{padding:.75rem 1rem;border:1px solid;${both("border-color", "#6b7885", "#8593a1")}${both("background", "#fff", "#10161d")}${both("color", "#16202b", "#e8edf2")}}
p,ul{margin:0;padding:0;list-style:none}
li{padding-block:.15rem}
a{display:inline-block;min-height:1.5rem;${both("color", "#1d4f91", "#8ab8ff")}}
:focus-visible{outline:3px solid;outline-offset:2px}
.head{font-weight:600}
b{font-weight:600}
i{display:inline-block;min-width:1.2em;font-style:normal;font-weight:700}
${Object.entries(hues).map(([css, [light, dark]]) => `.${css}{${both("color", light, dark)}}`).join("")}`);
  root.adoptedStyleSheets = [sheet];

  const make = (name, css, ...inside) => {
    const element = document.createElement(name);
    if (css) element.className = css;
    element.append(...inside);
    return element;
  };
  const link = (url, text) => {
    const element = make("a", "", text);
    element.href = url;
    element.hreflang = language;
    return element;
  };
  const shape = (text) => {
    const element = make("i", "", text);
    element.ariaHidden = "true";
    return element;
  };

  const news = make("div"), box = make("section", "", news);
  box.setAttribute("aria-label", words.name);
  news.setAttribute("role", "status");
  root.append(box);
  const place = target && document.querySelector(target);
  if (place) place.append(host);
  else if (script.parentNode === document.head) document.addEventListener("DOMContentLoaded", () => document.body.append(host));
  else script.after(host);

  let said = "";
  // Only what has changed is put in place, so that nothing is read out twice.
  const say = (key, ...elements) => {
    if (key !== said) news.replaceChildren(...elements);
    said = key;
  };
  const show = (state) => {
    const mine = chosen.map((code) => state.services.find((service) => service.code === code)).filter(Boolean);
    const listed = mine.length ? mine : state.services.filter((service) => !["ok", "none"].includes(service.css));
    const head = mine.length ? [] : [make("p", `head ${state.headline.css}`, shape(state.headline.shape), " ", state.headline.text)];
    const rows = listed.map((service) => make("li", "", link(service.url, service.name), " ", make("b", service.css, shape(service.shape), " ", service.word)));
    const list = rows.length ? [make("ul", "", ...rows)] : [];
    say(JSON.stringify([mine.length ? 0 : state.headline, listed]), ...head, ...list, make("p", "", link(state.page.url, state.page.name)));
  };
  const look = async () => {
    try {
      const answer = await fetch(source, { credentials: "omit" });
      if (!answer.ok) throw answer.status;
      show(await answer.json());
    } catch {
      say("lost", make("p", "head", words.lost), make("p", "", link(new URL(`${language}/`, source.href.replace(/widget\/[^/]+$/, "")), words.name)));
    }
    // Not all readers at once; a page nobody looks at asks less often.
    setTimeout(look, (document.hidden ? 5 : 1) * 60000 * (.8 + .4 * Math.random()));
  };
  look();
})();
