//! AWS clients from an environment: one HTTP client, static credentials, no configuration chain.

use crate::environment::{ConfigError, Environment};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use sluice_store::Store;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::environment::Clock;

/// What the SDK signs with; the stack's clock, so that a virtual clock is one clock.
#[derive(Clone)]
struct SigningTime(Arc<dyn Clock>);

impl std::fmt::Debug for SigningTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningTime")
    }
}

impl TimeSource for SigningTime {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.now().millis().max(0).unsigned_abs())
    }
}

/// The configuration every client starts from: three attempts, three seconds each.
pub fn sdk_config(env: &Environment) -> Result<SdkConfig, ConfigError> {
    let credentials = Credentials::new(
        env.required("AWS_ACCESS_KEY_ID")?,
        env.required("AWS_SECRET_ACCESS_KEY")?,
        env.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    );
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(env.required("AWS_REGION")?.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(env.http.clone())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SigningTime(env.clock.clone())))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(3))
                .build(),
        )
        .build())
}

/// The store: the table named by `SLUICE_TABLE`.
pub fn store(env: &Environment) -> Result<Store, ConfigError> {
    let endpoint = env.optional("AWS_ENDPOINT_URL_DYNAMODB");
    Ok(Store::open(&sdk_config(env)?, endpoint, env.required("SLUICE_TABLE")?))
}

/// The SQS client.
pub fn sqs(env: &Environment) -> Result<aws_sdk_sqs::Client, ConfigError> {
    let mut config = aws_sdk_sqs::config::Builder::from(&sdk_config(env)?);
    config.set_endpoint_url(env.optional("AWS_ENDPOINT_URL_SQS").map(str::to_owned));
    Ok(aws_sdk_sqs::Client::from_conf(config.build()))
}

/// The Secrets Manager client.
pub fn secrets_manager(env: &Environment) -> Result<aws_sdk_secretsmanager::Client, ConfigError> {
    let mut config = aws_sdk_secretsmanager::config::Builder::from(&sdk_config(env)?);
    config.set_endpoint_url(env.optional("AWS_ENDPOINT_URL_SECRETS_MANAGER").map(str::to_owned));
    Ok(aws_sdk_secretsmanager::Client::from_conf(config.build()))
}
