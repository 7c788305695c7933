use sluice_tests::plans::Plan;
use sluice_tests::sweep::*;
use sluice_tests::world::*;
use std::time::Instant;
#[test]
fn t() {
    let p = prepared("route-new");
    let rt = runtime();
    for _ in 0..3 {
    let t = Instant::now(); let mut w = World::new(None); println!("new {:?}", t.elapsed());
    let t = Instant::now(); w = World::restore(&p.snapshot, None); println!("restore {:?}", t.elapsed());
    for n in [Name::Capture, Name::Enrich, Name::Route, Name::Send, Name::Fire] {
        let t = Instant::now(); rt.block_on(w.instance(n, 0)); println!("{n:?} {:?}", t.elapsed());
    }
    let t = Instant::now(); w.items(); println!("items {:?}", t.elapsed());
    let t = Instant::now(); rt.block_on(w.invoke(Name::Fire, bytes::Bytes::from_static(b"{}"))); println!("fire {:?}", t.elapsed());
    let t = Instant::now(); rt.block_on(w.store().leads(&[])).unwrap(); println!("store {:?}", t.elapsed());
    let t = Instant::now(); for _ in 0..10 { rt.block_on(w.store().manifest()).unwrap(); } println!("10 manifest {:?}", t.elapsed());
    let s = w.store();
    let t = Instant::now(); for _ in 0..10 { rt.block_on(s.manifest()).unwrap(); } println!("10 manifest same client {:?}", t.elapsed());
    let t = Instant::now(); sluice_tests::sweep::one(&p, &Plan::default(), None); println!("plan {:?}", t.elapsed());
    }
}
