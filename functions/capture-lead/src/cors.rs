//! Which pages may post by script (Fetch standard, "CORS protocol").

use sluice_domain::policy::Form;
use sluice_wire::http::{HttpRequest, HttpResponse};

/// The answer with the headers that let the page read it, if its origin is one of the form's.
pub(crate) fn allow(form: &Form, request: &HttpRequest, answer: HttpResponse) -> HttpResponse {
    let Some(origin) = request.header("origin") else { return answer };
    let listed = form.origins.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin));
    let answer = answer.with_header("vary", "origin");
    if listed { answer.with_header("access-control-allow-origin", origin) } else { answer }
}

/// The answer to a preflight.
pub(crate) fn preflight(form: &Form, request: &HttpRequest) -> HttpResponse {
    let answer = HttpResponse::empty(204)
        .with_header("access-control-allow-methods", "POST")
        .with_header("access-control-allow-headers", "content-type, content-encoding, idempotency-key")
        .with_header("access-control-max-age", "600");
    allow(form, request, answer)
}

/// The answer with the headers that let any page read it: there is nothing in it that is somebody's.
pub(crate) fn anywhere(answer: HttpResponse) -> HttpResponse {
    answer.with_header("access-control-allow-origin", "*")
}

/// The answer to a preflight where any page may post.
pub(crate) fn preflight_anywhere() -> HttpResponse {
    let answer = HttpResponse::empty(204)
        .with_header("access-control-allow-methods", "POST")
        .with_header("access-control-allow-headers", "content-type, content-encoding")
        .with_header("access-control-max-age", "600");
    anywhere(answer)
}
