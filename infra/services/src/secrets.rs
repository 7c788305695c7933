//! Secrets Manager: `GetSecretValue` over secrets that are generated once and kept.

use crate::{Now, Service};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How a secret is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generate {
    /// Characters to draw.
    pub length: usize,
    /// ASCII characters to draw from.
    pub alphabet: String,
    /// A JSON object, and the key under which the drawn text is put into it; without them the text is the secret.
    pub inside: Option<(String, String)>,
}

impl Generate {
    fn make(&self) -> io::Result<String> {
        if self.alphabet.is_empty() || !self.alphabet.is_ascii() {
            return Err(io::Error::other("a secret is drawn from ASCII characters, at least one"));
        }
        let drawn = draw(self.alphabet.as_bytes(), self.length)?;
        let drawn = String::from_utf8_lossy(&drawn).into_owned();
        match &self.inside {
            Some((document, key)) => {
                let mut object: serde_json::Map<String, Value> = serde_json::from_str(document)?;
                object.insert(key.clone(), Value::String(drawn));
                Ok(Value::Object(object).to_string())
            }
            None => Ok(drawn),
        }
    }
}

/// `count` characters of `alphabet`, each as likely as the other.
fn draw(alphabet: &[u8], count: usize) -> io::Result<Vec<u8>> {
    let fair = 256 - 256 % alphabet.len();
    let mut drawn = Vec::with_capacity(count);
    while drawn.len() < count {
        let mut random = [0; 64];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let usable = random.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        drawn.extend(usable.filter_map(|b| alphabet.get(b % alphabet.len())));
    }
    drawn.truncate(count);
    Ok(drawn)
}

#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    value: String,
    /// Milliseconds since the epoch.
    created: i64,
}

/// The secrets of one stack. Clones share them.
#[derive(Clone)]
pub struct Secrets {
    now: Now,
    /// A JSON file that only its owner can read.
    path: Option<PathBuf>,
    kept: Arc<Mutex<BTreeMap<String, Secret>>>,
}

impl Secrets {
    /// Secrets that live and die with the process.
    pub fn memory(now: Now) -> Self {
        Self { now, path: None, kept: Arc::default() }
    }

    /// Secrets in a file, made when the first one is.
    pub fn open(path: &Path, now: Now) -> io::Result<Self> {
        let kept = if path.exists() { read(path)? } else { BTreeMap::new() };
        Ok(Self { now, path: Some(path.to_owned()), kept: Arc::new(Mutex::new(kept)) })
    }

    /// Makes a secret unless it is there already.
    pub fn ensure(&self, name: &str, how: &Generate) -> io::Result<()> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains_key(name) {
            return Ok(());
        }
        drop(kept);
        self.put(name, how.make()?)
    }

    /// Sets a secret to a given value.
    pub fn put(&self, name: &str, value: String) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = kept.clone();
        next.insert(name.to_owned(), Secret { value, created: (self.now)() });
        if let Some(path) = &self.path {
            write_private(path, &serde_json::to_vec_pretty(&next)?)?;
        }
        *kept = next;
        Ok(())
    }

    /// A secret's value.
    pub fn value(&self, name: &str) -> Option<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(|secret| secret.value.clone())
    }

    fn get(&self, body: &[u8]) -> Result<Value, (&'static str, &'static str)> {
        let request: GetSecretValue = serde_json::from_slice(body)
            .map_err(|_| ("InvalidParameterException", "SecretId is missing or the body is not JSON"))?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            kept.iter().find(|(name, _)| **name == request.secret_id || arn(name) == request.secret_id);
        let Some((name, secret)) = found else {
            return Err(("ResourceNotFoundException", "Secrets Manager can't find the specified secret."));
        };
        let version = md5_hex(format!("{name}/{}", secret.created).as_bytes());
        Ok(json!({
            "ARN": arn(name),
            "Name": name,
            "CreatedDate": secret.created / 1000,
            "SecretString": secret.value,
            "VersionId": version,
            "VersionStages": ["AWSCURRENT"],
        }))
    }
}

impl Service for Secrets {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
        let answered = match target {
            Some("secretsmanager.GetSecretValue") => self.get(request.body()),
            _ => Err(("UnknownOperationException", "only GetSecretValue is served here")),
        };
        let (status, body) = match answered {
            Ok(body) => (http::StatusCode::OK, body),
            Err((kind, message)) => {
                (http::StatusCode::BAD_REQUEST, json!({ "__type": kind, "Message": message }))
            }
        };
        let mut answer = http::Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = status;
        let kind = http::HeaderValue::from_static("application/x-amz-json-1.1");
        answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        std::future::ready(answer).boxed()
    }
}

#[derive(Deserialize)]
struct GetSecretValue {
    #[serde(rename = "SecretId")]
    secret_id: String,
}

/// The ARN of a secret. AWS ends it in six random characters; ours follow from the name, so that it is known beforehand.
pub fn arn(name: &str) -> String {
    let suffix: String = md5_hex(name.as_bytes()).chars().take(6).collect();
    format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{name}-{suffix}")
}

fn md5_hex(bytes: &[u8]) -> String {
    use md5::Digest;
    md5::Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads the file. What is wrong with it is told by its place only: the words for it would quote a secret.
fn read(path: &Path) -> io::Result<BTreeMap<String, Secret>> {
    serde_json::from_slice(&fs::read(path)?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let told = format!("{}:{line}:{column}: not the JSON that is kept here", path.display());
        io::Error::new(io::ErrorKind::InvalidData, told)
    })
}

/// Replaces a file in one step, readable by its owner only from the first byte.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        Arc::new(|| 1_795_283_353_000)
    }

    fn plain() -> Generate {
        Generate { length: 32, alphabet: "0123456789abcdef".to_owned(), inside: None }
    }

    async fn get(secrets: &Secrets, id: &str) -> (u16, Value) {
        let request = http::Request::post("/").header("x-amz-target", "secretsmanager.GetSecretValue");
        let body = Bytes::from(json!({ "SecretId": id }).to_string());
        let answer = secrets.call(request.body(body).unwrap()).await;
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }

    #[tokio::test]
    async fn a_secret_is_found_by_name_and_by_arn_and_an_unknown_one_is_not() {
        let secrets = Secrets::memory(now());
        secrets.ensure("sluice/keys", &plain()).unwrap();
        let (status, by_name) = get(&secrets, "sluice/keys").await;
        let (_, by_arn) = get(&secrets, &arn("sluice/keys")).await;
        assert_eq!((status, &by_name), (200, &by_arn));
        assert_eq!(by_name["SecretString"].as_str().unwrap().len(), 32);
        let (status, unknown) = get(&secrets, "sluice/key").await;
        assert_eq!((status, unknown["__type"].as_str().unwrap()), (400, "ResourceNotFoundException"));
    }

    #[test]
    fn a_generated_secret_keeps_to_its_alphabet_and_its_document() {
        let inside = Some((r#"{"current":1}"#.to_owned(), "key".to_owned()));
        let how = Generate { length: 5, alphabet: "abc".to_owned(), inside };
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let made: Value = serde_json::from_str(&how.make().unwrap()).unwrap();
            let key = made["key"].as_str().unwrap();
            assert_eq!((made["current"].as_i64(), key.len()), (Some(1), 5));
            assert!(key.bytes().all(|b| b"abc".contains(&b)), "{key}");
            seen.insert(key.to_owned());
        }
        assert!(seen.len() > 50, "{} different ones of 243", seen.len());
        assert!(Generate { alphabet: String::new(), ..plain() }.make().is_err());
    }

    #[test]
    fn a_mistake_in_the_file_is_told_by_its_place_and_not_by_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        fs::write(&path, "{\n  \"one\": \"merula\"\n}").unwrap();
        let told = Secrets::open(&path, now()).err().unwrap().to_string();
        assert!(told.contains("secrets.json:2:") && !told.contains("merula"), "{told}");
    }

    #[test]
    fn a_secret_survives_a_restart_in_a_file_of_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        Secrets::open(&path, now()).unwrap().ensure("one", &plain()).unwrap();
        let first = Secrets::open(&path, now()).unwrap().value("one").unwrap();
        let again = Secrets::open(&path, now()).unwrap();
        again.ensure("one", &plain()).unwrap();
        assert_eq!(again.value("one"), Some(first));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
