// Follows a link as somebody with a browser does: opens the page, lets its script run, types tokens into its form. Says after each
// step, a line of JSON each, what the page shows. Told on the command line: {"url": …, "held": a token of before, "typed": […]}.
const { JSDOM, VirtualConsole } = require("jsdom");

const { url, held, typed } = JSON.parse(process.argv[2]);
// Nobody waits longer for an answer.
const PATIENCE_MS = 20_000;

const shown = ({ window }) => {
  const { document } = window;
  const texts = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent);
  const rows = texts("article dt").map((name, at) => [name, texts("article dd")[at]]);
  return {
    title: document.title,
    heading: texts("h1")[0],
    asks: !document.querySelector("form").hidden,
    alert: texts("[role=alert]")[0],
    shows: !document.querySelector("article").hidden,
    rows,
    why: texts("article li"),
    links: [...document.querySelectorAll("article a")].map((link) => link.getAttribute("href")),
    elements: [...new Set([...document.querySelectorAll("article *")].map((element) => element.localName))].sort(),
    ran: window.ran ?? null,
    held: window.sessionStorage.getItem("token"),
  };
};

// Until there is an answer: the page clears what it said before it asks.
const answered = async ({ window: { document } }) => {
  const until = Date.now() + PATIENCE_MS;
  const waits = () => document.querySelector("[role=alert]").textContent === "" && document.querySelector("article").hidden;
  while (waits() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
};

const main = async () => {
  const wrong = new VirtualConsole().on("jsdomError", (error) => console.error(error.message));
  const beforeParse = (window) => {
    // jsdom has no `fetch`; Node's is a browser's.
    window.fetch = fetch;
    if (held) window.sessionStorage.setItem("token", held);
  };
  const page = await JSDOM.fromURL(url, { runScripts: "dangerously", virtualConsole: wrong, beforeParse });
  if (held) await answered(page);
  console.log(JSON.stringify(shown(page)));
  for (const token of typed) {
    const form = page.window.document.querySelector("form");
    form.querySelector("[name=token]").value = token;
    form.querySelector("button").click();
    await answered(page);
    console.log(JSON.stringify(shown(page)));
  }
  page.window.close();
};

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
