//! Many at once.

use futures::future::join_all;
use serde_json::json;
use sluice_tests::stack::Setup;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_identical_posts_at_once_are_one_customer_one_owner_and_one_notice() {
    let run = Setup::default().start().await;
    let fields = [("email", "fifty@person.example"), ("first_name", "Fifi"), ("phone", "+12015550150")];
    let answers = join_all((0..50).map(|_| run.post("contact", &fields))).await;
    let ids: BTreeSet<String> = answers.iter().map(|answer| answer.lead_id()).collect();
    assert_eq!(ids.len(), 50);
    run.settle().await;
    let ledger = run.ledger().await;
    assert_eq!(
        (&ledger["ended"]["assigned"], &ledger["ended"]["repeat"]),
        (&json!(1), &json!(49)),
        "{ledger:#}"
    );
    assert_eq!(run.live_customers().len(), 1);
    let customer = run.customer(&run.live_customers()[0]).await;
    assert_eq!(customer["lead_count"], 50);
    assert!(customer["owner"]["rep"].is_string());
    let mails = run.mails();
    assert_eq!(mails.len(), 1, "{mails:#?}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_people_is_shared_evenly_and_each_owner_is_told_once() {
    let run = Setup::default().start().await;
    let posts = (0..60).map(|at| {
        let (run, email) = (&run, format!("burst{at}@person.example"));
        async move { run.post("contact", &[("email", &email)]).await.lead_id() }
    });
    let ids = join_all(posts).await;
    run.settle().await;
    let mut owned = std::collections::BTreeMap::new();
    for id in &ids {
        *owned.entry(run.show(id).await["owner"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(owned, [("ann".to_owned(), 30), ("bo".to_owned(), 30)].into());
    let mails = run.mails();
    assert_eq!(mails.len(), 60);
    for id in &ids {
        assert_eq!(mails.iter().filter(|(_, text)| text.contains(id.as_str())).count(), 1);
    }
    run.finish().await;
}
