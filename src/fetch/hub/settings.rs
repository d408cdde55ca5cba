//! What the environment says of the hub, in the variables that the hub's own programs heed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::Uri;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// How long a hub may send nothing, where `HF_HUB_DOWNLOAD_TIMEOUT` does not say it.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

/// Where the hub and its cache are, and who asks.
pub(super) struct HubSettings {
    /// The hub's address, without a slash at its end: `HF_ENDPOINT`.
    pub endpoint: Uri,
    /// Proves to the hub who asks: `HF_TOKEN`, else what the file `HF_TOKEN_PATH` holds.
    pub token: Option<String>,
    /// The hub's own cache, which other programs share: `HF_HUB_CACHE`, else `hub` in `HF_HOME`.
    pub cache: PathBuf,
    /// Whether the network is not to be used: `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// The longest silence that is no failure: `HF_HUB_DOWNLOAD_TIMEOUT`, in seconds.
    pub patience: Duration,
}

impl HubSettings {
    /// Reads the variables and the token's file.
    ///
    /// # Errors
    /// The variable that is wrong, in a sentence.
    pub(super) fn from_environment() -> Result<Self, String> {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name: &str| match path(name).map(|value| value.into_os_string().into_string()) {
            Some(Ok(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Some(Err(_)) => Err(format!("{name} is not UTF-8")),
            None => Ok(None),
        };
        let home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(path("HOME")?.join(".cache/huggingface")));
        let below_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let token = match text("HF_TOKEN")? {
            Some(token) => Some(token),
            None => path("HF_TOKEN_PATH").or_else(|| below_home("token")).and_then(|f| read(&f)),
        };
        if token.as_ref().is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
            return Err("the token in HF_TOKEN or its file has characters that no token has".into());
        }
        let cache = path("HF_HUB_CACHE").or_else(|| below_home("hub"));
        let cache = cache.ok_or("neither HF_HUB_CACHE nor HF_HOME nor HOME is set")?;
        Ok(Self {
            endpoint: endpoint(text("HF_ENDPOINT")?.as_deref().unwrap_or(DEFAULT_ENDPOINT))?,
            token,
            // What is noted of it is read from other working directories too.
            cache: std::path::absolute(cache).map_err(|error| format!("HF_HUB_CACHE: {error}"))?,
            offline: text("HF_HUB_OFFLINE")?.is_some_and(|value| is_yes(&value)),
            patience: match text("HF_HUB_DOWNLOAD_TIMEOUT")? {
                Some(seconds) => patience(&seconds)?,
                None => DEFAULT_PATIENCE,
            },
        })
    }
}

/// The token in a file, if there is one.
fn read(file: &Path) -> Option<String> {
    let token = fs::read_to_string(file).ok()?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

fn endpoint(text: &str) -> Result<Uri, String> {
    let wrong = || format!("HF_ENDPOINT is `{text}`, which is not the address of a hub");
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wrong())?;
    let scheme = uri.scheme_str();
    if !matches!(scheme, Some("http" | "https")) || uri.host().is_none() || uri.query().is_some() {
        return Err(wrong());
    }
    Ok(uri)
}

fn is_yes(value: &str) -> bool {
    !["0", "no", "off", "false"].contains(&value.to_lowercase().as_str())
}

fn patience(seconds: &str) -> Result<Duration, String> {
    let seconds: u64 = seconds.parse().ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
        format!("HF_HUB_DOWNLOAD_TIMEOUT is `{seconds}`, which is not a number of seconds")
    })?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<HubSettings, String> {
        HubSettings::from_variables(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn wrong(variables: &[(&str, &str)]) -> String {
        read(variables).err().unwrap_or_default()
    }

    #[test]
    fn without_variables_it_is_the_public_hub() {
        let settings = read(&[("HOME", "/h")]).unwrap();
        assert_eq!(settings.endpoint.to_string(), "https://huggingface.co/");
        assert_eq!(settings.cache, Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(settings.token, None);
        assert!(!settings.offline);
        assert_eq!(settings.patience, DEFAULT_PATIENCE);
        assert!(wrong(&[]).contains("HF_HUB_CACHE"));
    }

    #[test]
    fn the_nearest_variable_names_the_cache() {
        let mut variables = vec![("HOME", "/h")];
        for (variable, cache) in [
            (("XDG_CACHE_HOME", "/x"), "/x/huggingface/hub"),
            (("HF_HOME", "/f"), "/f/hub"),
            (("HF_HUB_CACHE", "/c"), "/c"),
        ] {
            variables.push(variable);
            assert_eq!(read(&variables).unwrap().cache, Path::new(cache));
        }
    }

    #[test]
    fn a_token_is_taken_from_the_nearest_place() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        fs::write(folder.path().join("token"), "of-home\n").unwrap();
        let other = folder.path().join("other");
        fs::write(&other, " of-path ").unwrap();
        let other = other.to_str().unwrap();
        let mut variables = vec![("HF_HOME", home)];
        for (variable, token) in
            [(("HF_TOKEN", ""), "of-home"), (("HF_TOKEN_PATH", other), "of-path")]
        {
            variables.push(variable);
            assert_eq!(read(&variables).unwrap().token.as_deref(), Some(token));
        }
        let named = [("HF_HOME", home), ("HF_TOKEN", "of-variable\n")];
        assert_eq!(read(&named).unwrap().token.as_deref(), Some("of-variable"));
        assert!(wrong(&[("HF_HOME", home), ("HF_TOKEN", "a\r\nb: c")]).contains("HF_TOKEN"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |name, value| wrong(&[("HOME", "/h"), (name, value)]);
        for address in ["huggingface.co", "file:///etc", "http://", "https://h?a=b", "a b"] {
            assert!(with("HF_ENDPOINT", address).contains(address), "{address}");
        }
        for seconds in ["0", "-1", "soon"] {
            assert!(with("HF_HUB_DOWNLOAD_TIMEOUT", seconds).contains(seconds));
        }
    }

    #[test]
    fn offline_is_whatever_says_yes() {
        let offline = |value| read(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)]).unwrap().offline;
        assert!(offline("1") && offline("true") && offline("YES"));
        assert!(!offline("") && !offline("0") && !offline("False"));
    }
}
