import { open } from "../api";
import { form, line, make } from "../dom";
import { linkToken } from "../link";
import type { Page } from "../main";
import { must } from "../problem";

/** Where one asks for a link that sets the password anew. The answer is the same whether there is such a login or not. */
export const forgotten: Page = async (go) => {
  const email = line("Email address", "/email", null, { type: "email", autocomplete: "username", required: true });
  return make("section", { class: "card narrow" }, make("h1", {}, "Forgotten password"),
    form([email], "Send me a link", async () => {
      await must(open.POST("/v1/password-resets", { body: { email: email.input.value.trim() } }));
      go("/sign-in", "If there is such a login, a mail is on its way.");
    }, make("a", { href: "/#/sign-in" }, "Back")));
};

/** Where the link in that mail leads. */
export const reset: Page = async (go) => {
  const token = linkToken();
  const password = line("New password", "/password", null, { type: "password", autocomplete: "new-password" }, "10 characters or more.");
  const again = line("New password again", "/password_confirmation", null, { type: "password", autocomplete: "new-password" });
  return make("section", { class: "card narrow" }, make("h1", {}, "Choose a new password"),
    form([password, again], "Set password", async () => {
      await must(open.POST("/v1/password-resets/complete", {
        body: { token, password: password.input.value, password_confirmation: again.input.value },
      }));
      go("/sign-in", "The password is set. You can sign in now.");
    }));
};
