// The portal: which page is shown, and what stands above it.

import { api, apiURL, connect } from "./api";
import { make, say } from "./dom";
import { activate } from "./pages/activate";
import { customers } from "./pages/customers";
import { forgotten, reset } from "./pages/password";
import { profile } from "./pages/profile";
import { publishings } from "./pages/publishings";
import { signIn } from "./pages/signin";
import { terms } from "./pages/terms";
import { must, Refused } from "./problem";
import { isOpen, signOut } from "./session";

/** Goes to a page, and says something there. */
export type Go = (where: string, notice?: string) => void;

/** A page draws itself. */
export type Page = (go: Go) => Promise<HTMLElement>;

interface Place {
  title: string;
  page: Page;
  managers?: boolean;
}

/** The pages for those who are signed in, by the part of the address after the #. */
const places: Record<string, Place> = {
  "/profile": { title: "Profile", page: profile },
  "/publishings": { title: "Publishings", page: publishings },
  "/customers": { title: "Customers", page: customers, managers: true },
};

/** The pages for everybody. */
const publicPlaces: Record<string, Page> = { "/sign-in": signIn, "/forgotten": forgotten };

const main = document.querySelector("main") as HTMLElement;
const header = document.querySelector("header") as HTMLElement;
let role: string | undefined;
let notice = ""; // what is to be said on the page that comes

function go(where: string, saying = ""): void {
  notice = saying;
  if (location.pathname !== "/") {
    history.replaceState(null, "", "/");
  }
  if (location.hash === `#${where}`) {
    void show();
  } else {
    location.hash = where;
  }
}

async function show(): Promise<void> {
  const saying = notice;
  notice = "";
  say("");
  await drawPlace();
  if (saying !== "") {
    say(saying);
  }
}

async function drawPlace(): Promise<void> {
  const links: Record<string, Page> = { "/activate": activate, "/reset": reset };
  const link = links[location.pathname];
  if (link !== undefined) {
    return draw(link, "");
  }
  const where = location.hash.slice(1);
  const open = publicPlaces[where];
  if (open !== undefined || !isOpen()) {
    role = undefined;
    return draw(open ?? signIn, "");
  }
  const place = places[where];
  return draw((place ?? { page: profile }).page, place === undefined ? "/profile" : where);
}

async function draw(page: Page, where: string): Promise<void> {
  try {
    if (where !== "" && role === undefined) {
      role = (await must(api.GET("/v1/me"))).data.role ?? "";
    }
    const content = await page(go);
    drawHeader(where);
    main.replaceChildren(content);
  } catch (failure) {
    if (failure instanceof Refused && failure.code === "terms_acceptance_required") {
      drawHeader("");
      main.replaceChildren(await terms(failure.problem.terms_id ?? "", () => void show()));
    } else if (failure instanceof Refused && failure.status === 401) {
      return draw(signIn, "");
    } else {
      drawHeader(where);
      main.replaceChildren(make("p", { class: "fault", role: "alert" },
        failure instanceof Refused ? failure.message : `The server at ${apiURL} does not answer.`));
    }
  }
  main.focus();
  document.title = `${main.querySelector("h1")?.textContent ?? "Portal"} – Portal`;
}

function drawHeader(where: string): void {
  const brand = make("a", { class: "brand", href: "/#/profile" }, "Portal");
  if (!isOpen() || location.pathname !== "/") {
    header.replaceChildren(brand);
    return;
  }
  const shown = Object.entries(places).filter(([, place]) => where !== "" && (!place.managers || role === "manager"));
  header.replaceChildren(brand,
    make("nav", { "aria-label": "Pages" }, ...shown.map(([path, place]) =>
      make("a", { href: `#${path}`, ...(path === where ? { "aria-current": "page" } : {}) }, place.title))),
    make("button", {
      type: "button", class: "quiet",
      click: () => void signOut().then(() => go("/sign-in", "You are signed out.")),
    }, "Sign out"));
}

window.addEventListener("hashchange", () => void show());
await connect(() => go("/sign-in", "Your session has ended. Please sign in again."));
await show();
