//! Which pages may call by script (Fetch standard, "CORS protocol").

use sluice_wire::http::{HttpRequest, HttpResponse};

/// The answer with the headers that let the page read it, and when to come again, if its origin is listed.
pub(crate) fn allow<'a>(
    origins: impl IntoIterator<Item = &'a String>,
    request: &HttpRequest,
    answer: HttpResponse,
) -> HttpResponse {
    let Some(origin) = request.header("origin") else { return answer };
    let listed = origins.into_iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin));
    let answer = answer.with_header("vary", "origin");
    if !listed {
        return answer;
    }
    answer
        .with_header("access-control-allow-origin", origin)
        .with_header("access-control-expose-headers", "retry-after")
}

/// The answer to a preflight. Libraries send their key, and RudderStack's an id, in headers.
pub(crate) fn preflight<'a>(
    origins: impl IntoIterator<Item = &'a String>,
    request: &HttpRequest,
) -> HttpResponse {
    let answer = HttpResponse::empty(204)
        .with_header("access-control-allow-methods", "POST")
        .with_header(
            "access-control-allow-headers",
            "authorization, content-type, content-encoding, anonymousid, x-retry-count",
        )
        .with_header("access-control-max-age", "600");
    allow(origins, request, answer)
}
