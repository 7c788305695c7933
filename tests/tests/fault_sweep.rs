//! I1 to I14 under faults.
use sluice_tests::plans::Plan;
use sluice_tests::scenarios::ALL;
use sluice_tests::sweep::{one, prepared};
#[test]
fn quiet() {
    for s in &ALL {
        let t = std::time::Instant::now();
        let p = prepared(s.name);
        let t1 = t.elapsed();
        let r = one(&p, &Plan::default(), None);
        println!("{} prep {:?} run {:?} calls {} {:#?}", s.name, t1, t.elapsed()-t1, r.calls, r.broken);
    }
}
