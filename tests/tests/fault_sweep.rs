//! I1 to I14 under faults.
use sluice_tests::plans::Plan;
use sluice_tests::scenarios::ALL;
use sluice_tests::sweep::*;
#[test]
fn dev() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let most: usize = std::env::var("MOST").ok().and_then(|m| m.parse().ok()).unwrap_or(300);
    if let Ok(plan) = std::env::var("SLUICE_PLAN") {
        let (s, plan) = plan.split_once('/').unwrap();
        let r = one(&prepared(s), &Plan::parse(plan).unwrap(), None);
        println!("{r:#?}");
        return;
    }
    for s in ALL.iter().filter(|s| s.name.starts_with(&only)) {
        let t = std::time::Instant::now();
        let p = prepared(s.name);
        let plans = singles(&p, None);
        let of = plans.len();
        let swept = sweep(&p, &sample(plans, most, 1), None, 1000);
        println!("{} {} of {of} in {:?}, {} failed", s.name, swept.run, t.elapsed(), swept.failures.len());
        let mut kinds = std::collections::BTreeMap::new();
        for f in &swept.failures { 
            for b in &f.broken { let k: String = b.split_whitespace().filter(|w| !w.contains("ld_") && !w.contains("cu_") && !w.contains("ad#")).collect::<Vec<_>>().join(" "); kinds.entry(k).or_insert_with(|| (0, f.clone())).0 += 1; } }
        for (k, (n, f)) in kinds { println!("   {n} x {k}  e.g. {} {:?}", f.plan, f.broken); }
    }
}
