//! Entry point on Lambda.
fn main() -> Result<(), sluice_host::function::StartError> {
    sluice_host::lambda::run(run_campaign::build)
}
