"use strict";

// The page behind links in mails, where no portal is set: /activate and /reset. The token stands after the #, which
// browsers keep to themselves, and is taken out of the address as soon as it is read.

const texts = {
  en: {
    title: "Choose a password", name: "Your name", password: "Password (10 characters or more)", again: "Password again",
    accept: "I accept the terms and conditions.", read: "Read them", set: "Set password",
    done: "The password is set. You can sign in now.", differ: "The two passwords are not the same.",
    must: "Please accept the terms and conditions.", none: "This link is not complete. Please open it from the mail again.",
    failed: "That did not work. Please try again later.",
    codes: {
      link_unknown: "There is no such link.", link_used: "This link was used before. Sign in, or ask for a new one.",
      link_expired: "This link has expired. Please ask for a new one.",
      link_revoked: "This link does not work any more. Please ask for a new one.",
      weak_password: "This password is too easily guessed. Please take another one.",
      login_email_taken: "There is a login with this email address already.",
    },
  },
  pl: {
    title: "Wybierz hasło", name: "Imię i nazwisko", password: "Hasło (co najmniej 10 znaków)", again: "Powtórz hasło",
    accept: "Akceptuję regulamin.", read: "Przeczytaj", set: "Ustaw hasło",
    done: "Hasło zostało ustawione. Możesz się teraz zalogować.", differ: "Podane hasła różnią się.",
    must: "Zaakceptuj regulamin.", none: "Odnośnik jest niekompletny. Otwórz go ponownie z wiadomości.",
    failed: "Nie udało się. Spróbuj ponownie później.",
    codes: {
      link_unknown: "Nie ma takiego odnośnika.", link_used: "Ten odnośnik został już użyty. Zaloguj się lub poproś o nowy.",
      link_expired: "Ten odnośnik wygasł. Poproś o nowy.", link_revoked: "Ten odnośnik już nie działa. Poproś o nowy.",
      weak_password: "To hasło jest zbyt łatwe do odgadnięcia. Wybierz inne.",
      login_email_taken: "Istnieje już login z tym adresem e-mail.",
    },
  },
};
const language = navigator.language.startsWith("pl") ? "pl" : "en";
const say = texts[language];
const element = (id) => document.getElementById(id);
const form = document.querySelector("form");
const message = (text) => { element("message").textContent = text; };

document.documentElement.lang = language;
document.title = say.title;
for (const place of document.querySelectorAll("[data-text]")) place.textContent = say[place.dataset.text];

const activating = location.pathname === "/activate";
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);
let terms = null;

// call posts JSON and gives the answer, or says what went wrong and gives nothing.
async function call(path, body) {
  let answer, problem = {};
  try {
    answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), credentials: "omit",
    });
    if (answer.ok) return answer.status === 204 ? {} : await answer.json();
    problem = await answer.json();
  } catch {
    message(say.failed);
    return null;
  }
  const codes = [problem.code, ...(problem.errors || []).map((fault) => fault.code)];
  message(codes.map((code) => say.codes[code]).find(Boolean) || problem.detail || say.failed);
  if (problem.code.startsWith("link_")) form.hidden = true;
  return null;
}

async function start() {
  if (!token) return message(say.none);
  if (activating) {
    const preview = await call("/v1/activations/preview", { token });
    if (!preview) return;
    element("who").textContent = `${preview.identity.email} – ${preview.customer.name}`;
    element("name-line").hidden = preview.identity.name !== null;
    terms = preview.terms || null;
    element("terms-line").hidden = terms === null;
  }
  form.hidden = false;
}

// submit sets the password, once at a time.
async function submit() {
  const password = element("password").value;
  if (password !== element("again").value) return message(say.differ);
  if (terms && !element("terms").checked) return message(say.must);
  const body = { token, password, password_confirmation: element("again").value };
  if (activating && element("name").value.trim()) body.name = element("name").value.trim();
  if (terms) body.accept_terms_id = terms.id;
  const done = await call(activating ? "/v1/activations" : "/v1/password-resets/complete", body);
  if (!done) {
    if (terms && !form.hidden) await renewTerms();
    return;
  }
  form.hidden = true;
  message(say.done);
}

// renewTerms looks whether there are newer terms, which have to be accepted instead.
async function renewTerms() {
  const said = element("message").textContent;
  const preview = await call("/v1/activations/preview", { token });
  if (preview && preview.terms && preview.terms.id !== terms.id) {
    terms = preview.terms;
    element("terms").checked = false;
    message(say.must);
  } else if (preview) message(said);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled) return;
  button.disabled = true;
  await submit();
  button.disabled = false;
});

// A link that is pasted into the page that is open changes nothing but what stands after the #.
addEventListener("hashchange", () => location.reload());

start();
