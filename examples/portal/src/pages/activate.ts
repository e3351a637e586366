import { apiURL, open } from "../api";
import { field, form, line, make, type Field } from "../dom";
import { linkToken } from "../link";
import type { Page } from "../main";
import { must, Refused } from "../problem";
import { signIn } from "../session";

/** Where the link in the activation mail leads: who one is, a password, the terms. */
export const activate: Page = async (go) => {
  const token = linkToken();
  if (token === "") {
    return refused("The link is not complete. Please open it from the mail again.");
  }
  let preview;
  try {
    preview = (await must(open.POST("/v1/activations/preview", { body: { token } }))).data;
  } catch (failure) {
    if (failure instanceof Refused && failure.status < 500) {
      return refused(failure.message);
    }
    throw failure;
  }
  const { identity, customer, terms } = preview;
  const name = line("Your name", "/name", identity.name, { autocomplete: "name" });
  const password = line("Password", "/password", null, { type: "password", autocomplete: "new-password" }, "10 characters or more.");
  const again = line("Password again", "/password_confirmation", null, { type: "password", autocomplete: "new-password" });
  const fields: Field[] = [name, password, again];
  const accept = make("input", { type: "checkbox" });
  if (terms !== null) {
    const row = field("I accept the terms and conditions.", "/accept_terms_id", accept);
    row.row.classList.add("check");
    row.row.append(make("a", { href: `${apiURL}/v1/terms/current/document`, target: "_blank", rel: "noopener" },
      `Read “${terms.title}”`));
    fields.push(row);
  }
  return make("section", { class: "card narrow" }, make("h1", {}, "Activate your account"),
    make("p", {}, `For ${customer.name}. You will sign in as `, make("strong", {}, identity.email), "."),
    form(fields, "Activate", async () => {
      if (terms !== null && !accept.checked) {
        throw new Error("Please accept the terms and conditions.");
      }
      const given = name.input.value.trim();
      await must(open.POST("/v1/activations", {
        body: {
          token, password: password.input.value, password_confirmation: again.input.value,
          ...(given === "" ? {} : { name: given }),
          ...(terms === null ? {} : { accept_terms_id: terms.id }),
        },
      }));
      const wrong = await signIn(identity.email, password.input.value);
      go(wrong === undefined ? "/profile" : "/sign-in", "Your account is active.");
    }));
};

function refused(text: string): HTMLElement {
  return make("section", { class: "card narrow" }, make("h1", {}, "This link does not work"), make("p", { class: "fault", role: "alert" }, text),
    make("p", {}, make("a", { href: "/#/sign-in" }, "Sign in")));
}
