use sluice_tests::stack::Setup;
#[tokio::test]
async fn smoke() {
    let run = Setup::default().start().await;
    let id = run.lead(&[("email", "ada@person.example"), ("first_name", "Ada")]).await;
    let lead = run.show(&id).await;
    println!("{lead:#}");
    println!("{:?}", run.mails());
    println!("{:#}", run.customer(lead["customer"].as_str().unwrap()).await);
    run.finish().await;
}
