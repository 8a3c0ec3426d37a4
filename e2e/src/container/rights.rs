//! A Pod's `securityContext` as podman's options.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The options that mean the same. What a kubelet would do without being asked is here as well:
/// a root that can be written, the runtime's own capabilities, no seccomp filter.
///
/// # Errors
/// There is a field without an equivalent here, which must not go unnoticed.
pub(super) fn options(context: &Value) -> Result<Vec<String>> {
    let mut options = Vec::new();
    let mut seccomp = "unconfined";
    for (field, value) in context.as_object().into_iter().flatten() {
        match (field.as_str(), value) {
            ("privileged", Value::Bool(true)) => options.push("--privileged".to_owned()),
            ("privileged" | "readOnlyRootFilesystem", Value::Bool(false))
            | ("allowPrivilegeEscalation", Value::Bool(true)) => {}
            ("allowPrivilegeEscalation", Value::Bool(false)) => {
                options.push("--security-opt=no-new-privileges".to_owned());
            }
            ("readOnlyRootFilesystem", Value::Bool(true)) => {
                options.extend(["--read-only", "--read-only-tmpfs=false"].map(str::to_owned));
            }
            ("runAsUser", Value::Number(user)) => options.push(format!("--user={user}")),
            ("capabilities", value) => capabilities(value, &mut options)?,
            ("seccompProfile", value) if value["type"] == "RuntimeDefault" => seccomp = "",
            _ => bail!("securityContext: no equivalent of {field}: {value}"),
        }
    }
    if !seccomp.is_empty() {
        options.push(format!("--security-opt=seccomp={seccomp}"));
    }
    Ok(options)
}

fn capabilities(value: &Value, options: &mut Vec<String>) -> Result<()> {
    for (option, list) in [("drop", &value["drop"]), ("add", &value["add"])] {
        for name in list.as_array().into_iter().flatten() {
            let name = name.as_str().context("a capability that is no text")?;
            options.push(format!("--cap-{option}={name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::options;
    use serde_json::json;

    #[test]
    fn rights_are_those_of_the_security_context() {
        let context = json!({
            "privileged": false,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        let options = options(&context).expect("known fields");
        assert_eq!(
            options,
            [
                "--security-opt=no-new-privileges",
                "--cap-drop=ALL",
                "--cap-add=NET_ADMIN",
                "--read-only",
                "--read-only-tmpfs=false",
            ]
        );
    }

    #[test]
    fn what_a_kubelet_does_unasked_is_done_and_the_unknown_is_refused() {
        let unasked = options(&json!({})).expect("nothing to know");
        assert_eq!(unasked, ["--security-opt=seccomp=unconfined"]);
        let error = options(&json!({"runAsGroup": 5})).expect_err("an unknown field");
        assert!(error.to_string().contains("runAsGroup"), "{error}");
    }
}
