//! Tracking libraries as their makers publish them, with nothing changed but the host, against a stack that is refused, told
//! to wait and whose answers get lost on the way: every call arrives once.

use crate::tracking::{entries, start};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, join_all};
use sluice_services::{Service, listen};
use sluice_tests::stack::http;
use sluice_tests::{needs, node, python};
use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;

const DRIVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/tools/sdk_drivers");
/// Longer than any driver runs.
const PATIENCE: Duration = Duration::from_secs(90);

/// What happens to one request between the library and us.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It never arrives: 500.
    Refused,
    /// It never arrives: 429, to come again after a second.
    Busy,
    /// It arrives, and the answer does not: 503.
    Lost,
}

/// What stands between the library and us.
struct Between {
    faults: Mutex<VecDeque<Fault>>,
    url: String,
}

impl Service for Between {
    fn call(&self, request: ::http::Request<Bytes>) -> BoxFuture<'static, ::http::Response<Bytes>> {
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let url = self.url.clone();
        async move {
            let answer = ::http::Response::builder();
            match fault {
                Some(Fault::Refused) => return answer.status(500).body(Bytes::new()).unwrap(),
                Some(Fault::Busy) => {
                    return answer.status(429).header("retry-after", "1").body(Bytes::new()).unwrap();
                }
                Some(Fault::Lost) | None => {}
            }
            let (head, body) = request.into_parts();
            let ours = ["host", "content-length", "connection", "transfer-encoding"];
            let headers: Vec<(&str, &str)> = head
                .headers
                .iter()
                .filter(|(name, _)| !ours.contains(&name.as_str()))
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .collect();
            let target = head.uri.path_and_query().unwrap().as_str();
            let got = http::request(&url, head.method.as_str(), target, &headers, &body).await.unwrap();
            if fault.is_some() {
                return answer.status(503).body(Bytes::new()).unwrap();
            }
            let mut answer = answer.status(got.status);
            for (name, value) in got.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
                answer = answer.header(name, value);
            }
            answer.body(got.body.into()).unwrap()
        }
        .boxed()
    }
}

/// One driver: its file, what it is told besides the port, how many calls it makes.
struct Driver {
    file: &'static str,
    args: &'static [&'static str],
    calls: usize,
    faults: &'static [Fault],
}

const ALL: &[Fault] = &[Fault::Refused, Fault::Busy, Fault::Lost];
/// For libraries that end a second and a half after they began.
const FEW: &[Fault] = &[Fault::Lost];

const fn driver(
    file: &'static str,
    args: &'static [&'static str],
    calls: usize,
    faults: &'static [Fault],
) -> Driver {
    Driver { file, args, calls, faults }
}

const PYTHON: [Driver; 9] = [
    driver("seg_py.py", &["all"], 9, ALL),
    driver("seg_py.py", &["all", "gzip"], 9, ALL),
    driver("seg_py.py", &["all", "inf"], 9, ALL),
    // What is too large the library itself refuses.
    driver("seg_py_inf.py", &[], 1, FEW),
    driver("legacy_py.py", &[], 2, ALL),
    driver("legacy_py.py", &["gzip"], 2, ALL),
    driver("rudder_py.py", &[], 3, ALL),
    driver("posthog_py.py", &[], 3, ALL),
    driver("posthog_py.py", &["gzip"], 3, ALL),
];

const NODE: [Driver; 8] = [
    driver("seg_node.mjs", &["all"], 8, ALL),
    driver("seg_browser.cjs", &[], 5, ALL),
    driver("seg_browser.cjs", &["batching"], 5, ALL),
    driver("legacy_node.cjs", &["/v1/batch"], 2, FEW),
    driver("rudder_node.cjs", &[], 3, ALL),
    driver("rudder_node.cjs", &["nogzip"], 3, ALL),
    driver("posthog_node.cjs", &[], 3, ALL),
    driver("posthog_node.cjs", &["plain"], 3, ALL),
];

/// Runs a driver against a stack of its own. What is wrong with what arrived.
async fn drive(driver: &Driver, program: &Path, folder: &Path) -> Result<(), String> {
    let name = format!("{} {}", driver.file, driver.args.join(" "));
    let run = start("wk_public_demo_1", "phc_public_demo_1").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let faults = Mutex::new(driver.faults.iter().copied().collect());
    let between = Arc::new(Between { faults, url: run.stack.addresses.url.clone() });
    let serving = tokio::spawn(listen::serve(listener, between.clone())).abort_handle();
    let done = Command::new(program)
        // One driver takes whatever begins with a slash for a prefix of the host, its own name as well.
        .arg(if folder == Path::new(DRIVERS) {
            driver.file.into()
        } else {
            Path::new(DRIVERS).join(driver.file)
        })
        .arg(port)
        .args(driver.args)
        .current_dir(folder)
        .env("NODE_PATH", folder.join("node_modules"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = tokio::time::timeout(PATIENCE, done).await.map_err(|_| format!("{name}: never ends"))?;
    let done = done.map_err(|error| format!("{name}: {error}"))?;
    serving.abort();
    run.settle().await;
    let arrived = entries(&run).len();
    let faults_left = between.faults.lock().unwrap_or_else(PoisonError::into_inner).len();
    run.finish().await;
    if arrived == driver.calls && faults_left == 0 && done.status.success() {
        return Ok(());
    }
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    Err(format!(
        "{name}: {arrived} of {} calls arrived, {faults_left} faults left; it said:\n{said}",
        driver.calls
    ))
}

async fn all_arrive(drivers: &[Driver], program: &Path, folder: &Path) {
    // A few at a time: the libraries give up what takes too long.
    for some in drivers.chunks(3) {
        let wrong: Vec<String> = join_all(some.iter().map(|driver| drive(driver, program, folder)))
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn drivers_are_there() -> bool {
    let there = Path::new(DRIVERS).is_dir();
    if !there {
        println!("skipped: the drivers of the tracking libraries are not there");
    }
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_the_libraries_for_python_arrives_once() {
    if !drivers_are_there() {
        return;
    }
    let program = python::environment("sdks").await;
    let Some(program) = needs::found("tracking libraries for Python", program) else { return };
    all_arrive(&PYTHON, &std::path::absolute(program).unwrap(), Path::new(DRIVERS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_the_libraries_for_node_and_pages_arrives_once() {
    if !drivers_are_there() {
        return;
    }
    let libraries = node::packages("sdks").await;
    let Some(libraries) = needs::found("tracking libraries for Node", libraries) else { return };
    all_arrive(&NODE, &libraries.node, &libraries.folder).await;
}
