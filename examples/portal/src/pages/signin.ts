import { form, line, make } from "../dom";
import type { Page } from "../main";
import { signIn as begin } from "../session";

/** Where one signs in. */
export const signIn: Page = async (go) => {
  const email = line("Email address", "", null, { type: "email", autocomplete: "username", required: true });
  const password = line("Password", "", null, { type: "password", autocomplete: "current-password", required: true });
  return make("section", { class: "card narrow" }, make("h1", {}, "Sign in"),
    form([email, password], "Sign in", async () => {
      const wrong = await begin(email.input.value.trim(), password.input.value);
      if (wrong !== undefined) {
        throw new Error(wrong);
      }
      go("/profile");
    }, make("a", { href: "/#/forgotten" }, "Forgot your password?")));
};
