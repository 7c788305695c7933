//! The list of what a template may contain. What is not here is refused, by name and position.

use Shape::{
    Adjustable, Condition, Flag, List, Literal, Map, Names, Number, OneOf, OneOrMore, Resource, Value, Values,
};

/// What a value has to look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// A text, or an intrinsic that gives one.
    Value,
    /// A list of values, or an intrinsic that gives one.
    Values,
    /// One value or a list of them, as policies allow.
    OneOrMore,
    /// A text as it stands, without intrinsics.
    Literal,
    /// A whole number from the first to the second, as it stands.
    Number(i64, i64),
    /// A whole number of at least this, or a parameter that holds one.
    Adjustable(i64),
    /// True or false.
    Flag,
    /// One of these, as it stands.
    OneOf(&'static [&'static str]),
    /// A list with items of one shape.
    List(&'static Shape),
    /// A mapping with these keys.
    Map(&'static [Field]),
    /// A mapping with any keys and values of one shape.
    Names(&'static Shape),
    /// A condition.
    Condition,
    /// A resource: its properties depend on its type.
    Resource,
}

/// One key that a mapping may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

/// One type of resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// What `!GetAtt` may ask for.
    pub(super) attributes: &'static [&'static str],
    pub(super) properties: &'static [Field],
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, required: true, shape }
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, required: false, shape }
}

/// Sections of a template.
pub(super) const TEMPLATE: Shape = Map(&[
    must("AWSTemplateFormatVersion", OneOf(&["2010-09-09"])),
    must("Transform", OneOf(&["AWS::Serverless-2016-10-31"])),
    may("Description", Literal),
    may("Parameters", Names(&PARAMETER)),
    may("Conditions", Names(&Condition)),
    may("Globals", Map(&[may("Function", Map(FUNCTION))])),
    must("Resources", Names(&Resource)),
    may("Outputs", Names(&OUTPUT)),
]);

/// A constraint on a parameter's text is CloudFormation's to enforce; `AllowedValues` is enforced here too.
const PARAMETER: Shape = Map(&[
    must("Type", OneOf(&["String", "Number"])),
    may("Default", Literal),
    may("AllowedValues", List(&Literal)),
    may("AllowedPattern", Literal),
    may("ConstraintDescription", Literal),
    may("Description", Literal),
    may("MinValue", Number(i64::MIN, i64::MAX)),
    may("NoEcho", Flag),
]);

const OUTPUT: Shape = Map(&[must("Value", Value), may("Description", Literal)]);

/// What a resource has beside its properties; both policies concern deployment only.
pub(super) const RESOURCE: &[Field] = &[
    must("Type", Literal),
    may("DeletionPolicy", OneOf(&["Delete", "Retain", "RetainExceptOnCreate"])),
    may("UpdateReplacePolicy", OneOf(&["Delete", "Retain"])),
];

/// Every supported type of resource.
pub(super) const KINDS: &[Kind] = &[
    // Run by the local host.
    Kind { name: "AWS::DynamoDB::Table", attributes: &["Arn"], properties: TABLE },
    Kind { name: "AWS::SQS::Queue", attributes: &["Arn", "QueueName", "QueueUrl"], properties: QUEUE },
    Kind { name: "AWS::SecretsManager::Secret", attributes: &[], properties: SECRET },
    Kind { name: "AWS::Serverless::Function", attributes: &["Arn"], properties: FUNCTION },
    Kind { name: "AWS::ApiGatewayV2::Api", attributes: &["ApiEndpoint"], properties: API },
    Kind { name: "AWS::ApiGatewayV2::Integration", attributes: &[], properties: INTEGRATION },
    Kind { name: "AWS::ApiGatewayV2::Route", attributes: &[], properties: ROUTE },
    Kind { name: "AWS::Scheduler::Schedule", attributes: &[], properties: SCHEDULE },
    Kind { name: "AWS::SES::ConfigurationSet", attributes: &[], properties: MAIL_SET },
    Kind { name: "AWS::SES::ConfigurationSetEventDestination", attributes: &[], properties: MAIL_EVENTS },
    Kind { name: "AWS::Events::Rule", attributes: &["Arn"], properties: RULE },
    // Known, and without effect on one machine: who may call whom, throttling, logs and alarms.
    Kind { name: "AWS::IAM::Role", attributes: &["Arn"], properties: ROLE },
    Kind { name: "AWS::Lambda::Permission", attributes: &[], properties: PERMISSION },
    Kind { name: "AWS::SQS::QueuePolicy", attributes: &[], properties: QUEUE_POLICY },
    Kind { name: "AWS::ApiGatewayV2::Stage", attributes: &[], properties: STAGE },
    Kind { name: "AWS::Logs::LogGroup", attributes: &["Arn"], properties: LOG_GROUP },
    Kind { name: "AWS::CloudWatch::Alarm", attributes: &[], properties: ALARM },
];

const KEYS: Shape = List(&Map(&[must("AttributeName", Literal), must("KeyType", OneOf(&["HASH", "RANGE"]))]));

const TABLE: &[Field] = &[
    must("BillingMode", OneOf(&["PAY_PER_REQUEST"])),
    must(
        "AttributeDefinitions",
        List(&Map(&[must("AttributeName", Literal), must("AttributeType", OneOf(&["S", "N", "B"]))])),
    ),
    must("KeySchema", KEYS),
    may(
        "GlobalSecondaryIndexes",
        List(&Map(&[
            must("IndexName", Literal),
            must("KeySchema", KEYS),
            must("Projection", Map(&[must("ProjectionType", OneOf(&["KEYS_ONLY", "ALL"]))])),
        ])),
    ),
    may("TimeToLiveSpecification", Map(&[must("AttributeName", Literal), must("Enabled", OneOf(&["true"]))])),
    // Backups and encryption are the service's own.
    may("PointInTimeRecoverySpecification", Map(&[must("PointInTimeRecoveryEnabled", Flag)])),
    may("SSESpecification", Map(&[must("SSEEnabled", Flag)])),
];

/// Ranges: SQS API Reference, SetQueueAttributes.
const QUEUE: &[Field] = &[
    may("VisibilityTimeout", Number(0, 43_200)),
    may("MessageRetentionPeriod", Number(60, 1_209_600)),
    may("DelaySeconds", Number(0, 900)),
    may("SqsManagedSseEnabled", Flag),
    may(
        "RedrivePolicy",
        Map(&[must("deadLetterTargetArn", Value), must("maxReceiveCount", Number(1, 1000))]),
    ),
];

/// Only a generated secret: a value in the template would be known to whoever reads it. That each kind of character occurs
/// is not promised here, so the template must not ask for it.
const SECRET: &[Field] = &[
    may("Description", Literal),
    must(
        "GenerateSecretString",
        Map(&[
            may("SecretStringTemplate", Literal),
            may("GenerateStringKey", Literal),
            may("PasswordLength", Number(1, 4096)),
            may("ExcludeCharacters", Literal),
            may("ExcludeLowercase", Flag),
            may("ExcludeNumbers", Flag),
            may("ExcludePunctuation", Flag),
            may("ExcludeUppercase", Flag),
            must("RequireEachIncludedType", OneOf(&["false"])),
        ]),
    ),
];

/// Also the Globals of functions, so what one function must have is asked for where both are joined.
pub(super) const FUNCTION: &[Field] = &[
    may("CodeUri", Literal),
    may("Handler", OneOf(&["bootstrap"])),
    may("Runtime", OneOf(&["provided.al2023"])),
    may("Architectures", Values),
    may("Timeout", Number(1, 900)),
    may("MemorySize", Number(128, 10_240)),
    may("ReservedConcurrentExecutions", Adjustable(0)),
    // Nothing ends a chain of calls here.
    may("RecursiveLoop", OneOf(&["Allow"])),
    may("Role", Value),
    may("Environment", Map(&[must("Variables", Names(&Value))])),
    may("Events", Names(&Map(&[must("Type", OneOf(&["SQS"])), must("Properties", Map(SOURCE))]))),
    // Range: Lambda API Reference, PutFunctionEventInvokeConfig. What is not said would be six hours.
    may(
        "EventInvokeConfig",
        Map(&[
            must("MaximumRetryAttempts", OneOf(&["0"])),
            must("MaximumEventAgeInSeconds", Number(60, 21_600)),
        ]),
    ),
    may(
        "LoggingConfig",
        Map(&[
            may("LogGroup", Value),
            may("LogFormat", OneOf(&["JSON", "Text"])),
            may("ApplicationLogLevel", Literal),
            may("SystemLogLevel", Literal),
        ]),
    ),
];

/// Ranges: Lambda API Reference, CreateEventSourceMapping; a batch is what one receive can give.
const SOURCE: &[Field] = &[
    must("Queue", Value),
    may("BatchSize", Number(1, 10)),
    may("MaximumBatchingWindowInSeconds", Number(0, 300)),
    may("ScalingConfig", Map(&[must("MaximumConcurrency", Number(2, 1000))])),
    must("FunctionResponseTypes", List(&OneOf(&["ReportBatchItemFailures"]))),
];

const API: &[Field] = &[must("Name", Value), must("ProtocolType", OneOf(&["HTTP"]))];

const INTEGRATION: &[Field] = &[
    must("ApiId", Value),
    must("IntegrationType", OneOf(&["AWS_PROXY"])),
    must("IntegrationUri", Value),
    must("PayloadFormatVersion", OneOf(&["2.0"])),
];

const ROUTE: &[Field] = &[must("ApiId", Value), must("RouteKey", Literal), must("Target", Value)];

const STAGE: &[Field] = &[
    must("ApiId", Value),
    must("StageName", OneOf(&["$default"])),
    must("AutoDeploy", OneOf(&["true"])),
    may(
        "DefaultRouteSettings",
        Map(&[
            may("ThrottlingRateLimit", Number(1, i64::MAX)),
            may("ThrottlingBurstLimit", Number(1, i64::MAX)),
        ]),
    ),
    may("AccessLogSettings", Map(&[must("DestinationArn", Value), must("Format", Literal)])),
];

/// A failed call is not repeated: the next one is due soon enough.
const SCHEDULE: &[Field] = &[
    must("ScheduleExpression", Literal),
    must("FlexibleTimeWindow", Map(&[must("Mode", OneOf(&["OFF"]))])),
    must(
        "Target",
        Map(&[
            must("Arn", Value),
            must("RoleArn", Value),
            may("Input", Literal),
            must(
                "RetryPolicy",
                Map(&[
                    must("MaximumRetryAttempts", OneOf(&["0"])),
                    may("MaximumEventAgeInSeconds", Number(60, 86_400)),
                ]),
            ),
        ]),
    ),
];

const MAIL_SET: &[Field] = &[must("Name", Value)];

/// SES publishes to the default bus only. With OPEN and CLICK it would rewrite mails, which is not done here.
const MAIL_EVENTS: &[Field] = &[
    must("ConfigurationSetName", Value),
    must(
        "EventDestination",
        Map(&[
            may("Name", Literal),
            must("Enabled", OneOf(&["true"])),
            must(
                "MatchingEventTypes",
                List(&OneOf(&[
                    "SEND",
                    "DELIVERY",
                    "DELIVERY_DELAY",
                    "BOUNCE",
                    "COMPLAINT",
                    "REJECT",
                    "RENDERING_FAILURE",
                    "SUBSCRIPTION",
                ])),
            ),
            must("EventBridgeDestination", Map(&[must("EventBusArn", Value)])),
        ]),
    ),
];

/// Events of SES for queues.
const RULE: &[Field] = &[
    must("State", OneOf(&["ENABLED"])),
    must("EventPattern", Map(&[must("source", List(&OneOf(&["aws.ses"]))), must("resources", Values)])),
    must("Targets", List(&Map(&[must("Id", Literal), must("Arn", Value)]))),
];

const ROLE: &[Field] = &[
    must(
        "AssumeRolePolicyDocument",
        Map(&[
            must("Version", OneOf(&["2012-10-17"])),
            must(
                "Statement",
                List(&Map(&[
                    must("Effect", OneOf(&["Allow"])),
                    must("Principal", Map(&[must("Service", Literal)])),
                    must("Action", OneOf(&["sts:AssumeRole"])),
                    may("Condition", Names(&Names(&OneOrMore))),
                ])),
            ),
        ]),
    ),
    must("Policies", List(&Map(&[must("PolicyName", Literal), must("PolicyDocument", POLICY)]))),
];

const POLICY: Shape = Map(&[
    must("Version", OneOf(&["2012-10-17"])),
    must(
        "Statement",
        List(&Map(&[
            must("Effect", OneOf(&["Allow"])),
            must("Action", List(&Literal)),
            must("Resource", OneOrMore),
            may("Condition", Names(&Names(&OneOrMore))),
        ])),
    ),
]);

const PERMISSION: &[Field] = &[
    must("Action", OneOf(&["lambda:InvokeFunction"])),
    must("FunctionName", Value),
    must("Principal", OneOf(&["apigateway.amazonaws.com"])),
    must("SourceArn", Value),
];

const QUEUE_POLICY: &[Field] = &[
    must("Queues", Values),
    must(
        "PolicyDocument",
        Map(&[
            must("Version", OneOf(&["2012-10-17"])),
            must(
                "Statement",
                List(&Map(&[
                    must("Effect", OneOf(&["Allow"])),
                    must("Principal", Map(&[must("Service", Literal)])),
                    must("Action", List(&OneOf(&["sqs:SendMessage"]))),
                    must("Resource", Value),
                    must("Condition", Names(&Names(&OneOrMore))),
                ])),
            ),
        ]),
    ),
];

const LOG_GROUP: &[Field] = &[may("LogGroupName", Value), must("RetentionInDays", Number(1, 3653))];

const ALARM: &[Field] = &[
    may("AlarmDescription", Literal),
    must("Namespace", Literal),
    must("MetricName", Literal),
    may("Dimensions", List(&Map(&[must("Name", Literal), must("Value", Value)]))),
    must("Statistic", OneOf(&["Maximum", "Minimum", "Sum", "Average"])),
    must("Period", Number(10, 86_400)),
    must("EvaluationPeriods", Number(1, i64::MAX)),
    must("ComparisonOperator", OneOf(&["GreaterThanThreshold", "LessThanThreshold"])),
    must("Threshold", Number(0, i64::MAX)),
    may("TreatMissingData", OneOf(&["breaching", "notBreaching"])),
    may("AlarmActions", Values),
];
