import { api, apiURL, open } from "../api";
import { form, make } from "../dom";
import { must } from "../problem";

/** What is shown instead of a page until the current terms are accepted. */
export async function terms(id: string, accepted: () => void): Promise<HTMLElement> {
  const current = (await must(open.GET("/v1/terms/current"))).data;
  const document = `${apiURL}/v1/terms/current/document`;
  return make("section", { class: "card narrow" }, make("h1", {}, "New terms and conditions"),
    make("p", {}, "Please read ",
      make("a", { href: document, target: "_blank", rel: "noopener" }, `“${current.title}”, version ${current.version}`),
      " and accept it to go on."),
    form([], "I accept", async () => {
      await must(api.POST("/v1/portal/terms-acceptances", { body: { terms_id: id || current.id } }));
      accepted();
    }));
}
