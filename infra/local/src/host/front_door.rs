//! The HTTP front door: routes as API Gateway matches them, and local-only pages under `/_local/`.

use super::clock::StackClock;
use super::hosted::Hosted;
use super::local::{Local, LocalAnswer, PageRequest};
use super::payload::{Arrival, event, percent_decode, refusal, response};
use crate::template::{DEFAULT_ROUTE, route_key};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use axum::serve::ListenerExt;
use bytes::Bytes;
use sluice_host::environment::Clock;
use sluice_host::function::InvokeError;
use sluice_wire::http::takes_html;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The largest request body, in bytes, as API Gateway limits it.
pub const MAX_BODY: usize = 10 * 1024 * 1024;

/// One route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Such as `POST`, or `ANY`.
    pub method: String,
    /// Such as `/f/{form}`; `{rest+}` at the end takes all that follows, `$default` whatever no other route takes.
    pub path: String,
    /// The function it leads to.
    pub function: String,
}

impl RouteSpec {
    /// `POST /f/{form}`.
    pub fn key(&self) -> String {
        route_key(&self.method, &self.path)
    }
}

/// Routes with their functions, most specific first.
pub struct FrontDoor {
    routes: Vec<Route>,
    pages: Arc<dyn Local>,
    clock: StackClock,
    count: AtomicU64,
    calls: Arc<Calls>,
}

/// Calls that have begun. Each runs to its end, as on Lambda, also if whoever asked goes away meanwhile.
#[derive(Default)]
struct Calls(Mutex<JoinSet<()>>);

impl Calls {
    /// Begins a call, and gives its outcome when there is one.
    fn begin(&self, function: Hosted, payload: Bytes) -> oneshot::Receiver<Result<Bytes, InvokeError>> {
        let (tell, told) = oneshot::channel();
        let mut calls = self.lock();
        while calls.try_join_next().is_some() {}
        calls.spawn(async move {
            // Whoever asked may have gone.
            let _ = tell.send(function.invoke(payload).await);
        });
        told
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts the calls off when it is dropped: connections outlive the door that is closed on them.
struct CutOff(Arc<Calls>);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.lock().abort_all();
    }
}

struct Route {
    key: String,
    method: String,
    segments: Vec<Segment>,
    function: Hosted,
}

/// In the order API Gateway prefers them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter(String),
    Rest(String),
    Anything,
}

impl Segment {
    fn read(text: &str) -> Self {
        if text == DEFAULT_ROUTE {
            return Self::Anything;
        }
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) => match name.strip_suffix('+') {
                Some(rest) => Self::Rest(rest.to_owned()),
                None => Self::Parameter(name.to_owned()),
            },
            None => Self::Literal(text.to_owned()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Parameter(_) => 1,
            Self::Rest(_) => 2,
            Self::Anything => 3,
        }
    }
}

impl Route {
    /// The path's parameters, if the path is this route's.
    fn matches(&self, path: &[&str]) -> Option<Vec<(String, String)>> {
        let mut parameters = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let given = path.get(index)?;
            match segment {
                Segment::Anything => return Some(parameters),
                Segment::Literal(text) if text == given => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(_) if given.is_empty() => return None,
                Segment::Parameter(name) => parameters.push((name.clone(), percent_decode(given))),
                Segment::Rest(name) => {
                    let rest = path.get(index..).unwrap_or_default().join("/");
                    parameters.push((name.clone(), percent_decode(&rest)));
                    return Some(parameters);
                }
            }
        }
        (self.segments.len() == path.len()).then_some(parameters)
    }
}

impl FrontDoor {
    /// A door with the given routes, each with the function it leads to.
    pub fn new(routes: Vec<(RouteSpec, Hosted)>, pages: Arc<dyn Local>, clock: StackClock) -> Self {
        let mut routes: Vec<Route> = routes
            .into_iter()
            .map(|(spec, function)| Route {
                key: spec.key(),
                segments: segments(&spec.path).into_iter().map(Segment::read).collect(),
                method: spec.method,
                function,
            })
            .collect();
        routes.sort_by_key(|route| {
            let ranks: Vec<u8> = route.segments.iter().map(Segment::rank).collect();
            (ranks, route.method == "ANY")
        });
        Self { routes, pages, clock, count: AtomicU64::new(0), calls: Arc::default() }
    }

    /// Serves connections until `stop` is ready, the requests that had begun are answered and their calls are over. Dropping it
    /// cuts the calls off.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        // Answers are small: Nagle's algorithm would hold them back.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot turn off Nagle's algorithm");
            }
        });
        let calls = CutOff(self.calls.clone());
        let door = Arc::new(self);
        let answer = move |ConnectInfo(from): ConnectInfo<SocketAddr>, request: Request| {
            let door = door.clone();
            async move { door.answer(from, request).await.map(Body::from) }
        };
        let app = Router::new().fallback(answer).into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "the front door closed");
        }
        let mut begun = std::mem::take(&mut *calls.0.lock());
        while begun.join_next().await.is_some() {}
    }

    async fn answer(&self, from: SocketAddr, request: Request) -> Response<Bytes> {
        let path = request.uri().path();
        if path != "/_local" && !path.starts_with("/_local/") {
            let is_looking_around = path == "/" && is_of_a_browser(&request);
            let answer = self.call(from, request).await;
            let is_nothing = answer.status() == StatusCode::NOT_FOUND;
            return if is_looking_around && is_nothing { to_pages() } else { answer };
        }
        let page = self.pages.page(&PageRequest {
            method: request.method(),
            path,
            query: request.uri().query().unwrap_or_default(),
            headers: request.headers(),
        });
        match page {
            LocalAnswer::Page(page) => page,
            LocalAnswer::Later(page) => page.await,
            LocalAnswer::Ask { request, show } => show(self.call(from, request.map(Body::from)).await),
        }
    }

    /// Hands a request to the function of its route.
    async fn call(&self, from: SocketAddr, request: Request) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let asked = segments(path);
        let wanted = |route: &&Route| route.method == head.method.as_str() || route.method == "ANY";
        let found = self.routes.iter().filter(wanted).find_map(|route| Some((route, route.matches(&asked)?)));
        let Some((route, path_parameters)) = found else {
            return refusal(StatusCode::NOT_FOUND, "Not Found");
        };
        let Ok(body) = to_bytes(body, MAX_BODY).await else {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        };
        let now = self.clock.now();
        let request_id = format!("{:x}-{:x}", now.millis(), self.count.fetch_add(1, Ordering::Relaxed));
        let arrival = Arrival {
            route_key: &route.key,
            path_parameters,
            source_ip: from.ip(),
            now,
            request_id: &request_id,
        };
        let told = self.calls.begin(route.function.clone(), event(&head, &body, &arrival));
        match told.await {
            Ok(Ok(answer)) => response(&answer),
            Ok(Err(_)) | Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }
}

/// Whether somebody opens a page.
fn is_of_a_browser(request: &Request) -> bool {
    let accept = request.headers().get("accept").and_then(|value| value.to_str().ok());
    request.method() == Method::GET && accept.is_some_and(takes_html)
}

/// Whoever opens the bare address sees what there is on this machine.
fn to_pages() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert("location", HeaderValue::from_static("/_local"));
    response
}

fn segments(path: &str) -> Vec<&str> {
    path.strip_prefix('/').unwrap_or(path).split('/').collect()
}
