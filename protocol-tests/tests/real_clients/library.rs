//! Server libraries of other languages, called one method at a time.

use protocol_tests::{Secured, Skipped, TestServer, within};
use serde_json::{Value, json};

use crate::script::{Interpreter, Script, settings_over_tls};

/// A library in a process of its own; see `clients/libraries/`.
pub(crate) struct Library {
    script: Script,
}

impl Library {
    /// Pusher's library for Node.
    pub(crate) fn node(server: &TestServer) -> Library {
        Library {
            script: Script::start(Interpreter::Node, &["libraries/node.mjs"], Some(server)),
        }
    }

    /// Pusher's libraries, by way of TLS.
    pub(crate) fn over_tls(secured: &Secured, interpreter: Interpreter, program: &str) -> Library {
        let settings = Some(settings_over_tls(secured));
        let certificate = Some(secured.certificate());
        Library {
            script: Script::start_trusting(interpreter, &[program], settings, certificate),
        }
    }

    /// Pusher's library for Python, which takes numeric app ids only.
    pub(crate) fn python(server: &TestServer) -> Result<Library, Skipped> {
        if !server.app().id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Skipped::for_want_of("a numeric app id"));
        }
        let program = ["libraries/python.py"];
        Ok(Library {
            script: Script::start(Interpreter::Python, &program, Some(server)),
        })
    }

    /// PHP's own HMAC and HTTP, used as Pusher's library for PHP does.
    pub(crate) fn php(server: &TestServer) -> Library {
        Library {
            script: Script::start(Interpreter::Php, &["libraries/php.php"], Some(server)),
        }
    }

    /// Calls a method and returns its result, or the text of the library's error.
    pub(crate) async fn try_call(
        &mut self,
        method: &str,
        arguments: Value,
    ) -> Result<Value, String> {
        let call = json!({"method": method, "arguments": arguments});
        self.script.write_line(&call.to_string()).await;
        let Some(line) = within(method, self.script.line()).await else {
            panic!(
                "the library's program ended at {call}:\n{}",
                self.script.ended().await.stderr
            );
        };
        let mut answer: Value = serde_json::from_str(&line).expect("an answer is JSON");
        match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(error.as_str().expect("an error is a text").to_owned()),
        }
    }

    /// Calls a method, which must succeed.
    pub(crate) async fn call(&mut self, method: &str, arguments: Value) -> Value {
        let result = self.try_call(method, arguments).await;
        result.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Ends the program.
    pub(crate) async fn finish(mut self) {
        let ended = self.script.ended().await;
        assert!(ended.succeeded, "{}", ended.stderr);
    }
}
