//! The scripts themselves, run as Redis runs them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Function, Lua, Table, Value, Variadic};

use super::data::{Data, Reply};
use crate::cluster::redis::script;

/// An interpreter with all scripts.
pub(super) struct Scripts {
    lua: Lua,
    by_hash: HashMap<Vec<u8>, Function>,
    data: Rc<RefCell<Data>>,
}

thread_local! {
    static SCRIPTS: Scripts = Scripts::new();
}

/// Runs the script that the arguments of EVALSHA name.
pub(super) fn run(data: &mut Data, arguments: &[Vec<u8>]) -> Result<redis::Value, String> {
    SCRIPTS.with(|scripts| {
        std::mem::swap(data, &mut scripts.data.borrow_mut());
        let done = scripts.run(arguments);
        std::mem::swap(data, &mut scripts.data.borrow_mut());
        done.map_err(|error| error.to_string())
    })
}

impl Scripts {
    fn new() -> Self {
        let lua = Lua::new();
        let data = Rc::new(RefCell::new(Data::default()));
        let redis = lua.create_table().unwrap();
        for name in ["call", "pcall"] {
            let data = Rc::clone(&data);
            let call = move |lua: &Lua, arguments: Variadic<Value>| {
                let arguments: Vec<_> = arguments.iter().map(bytes_of).collect();
                let reply = data.borrow_mut().call(&arguments);
                to_lua(lua, reply.map_err(mlua::Error::runtime)?)
            };
            redis.set(name, lua.create_function(call).unwrap()).unwrap();
        }
        lua.globals().set("redis", redis).unwrap();
        let by_hash = script::all().into_iter().map(|known| {
            let function = lua.load(known.code()).into_function().unwrap();
            (known.hash().as_bytes().to_vec(), function)
        });
        Self {
            by_hash: by_hash.collect(),
            lua,
            data,
        }
    }

    fn run(&self, arguments: &[Vec<u8>]) -> mlua::Result<redis::Value> {
        let count: usize = String::from_utf8_lossy(&arguments[1]).parse().unwrap();
        let (keys, values) = arguments[2..].split_at(count);
        let globals = self.lua.globals();
        globals.set("KEYS", self.list(keys)?)?;
        globals.set("ARGV", self.list(values)?)?;
        let returned: Value = self.by_hash[&arguments[0]].call(())?;
        Ok(from_lua(&returned))
    }

    fn list(&self, texts: &[Vec<u8>]) -> mlua::Result<Table> {
        let texts = texts.iter().map(|text| self.lua.create_string(text));
        self.lua
            .create_sequence_from(texts.collect::<mlua::Result<Vec<_>>>()?)
    }
}

/// What a client is answered.
pub(super) fn value_of(reply: Reply) -> redis::Value {
    match reply {
        Reply::Nil => redis::Value::Nil,
        Reply::Int(number) => redis::Value::Int(number),
        Reply::Bytes(bytes) => redis::Value::BulkString(bytes),
        Reply::List(list) => redis::Value::Array(list.into_iter().map(value_of).collect()),
    }
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(number) => number.to_string().into(),
        Value::Number(number) => number.to_string().into(),
        other => panic!("a script gives Redis {other:?}"),
    }
}

fn to_lua(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Nil => Value::Boolean(false),
        Reply::Int(number) => Value::Number(number as f64),
        Reply::Bytes(bytes) => Value::String(lua.create_string(bytes)?),
        Reply::List(list) => {
            let values = list.into_iter().map(|reply| to_lua(lua, reply));
            let values = values.collect::<mlua::Result<Vec<_>>>()?;
            Value::Table(lua.create_sequence_from(values)?)
        }
    })
}

fn from_lua(value: &Value) -> redis::Value {
    match value {
        Value::Integer(number) => redis::Value::Int(*number),
        Value::Number(number) => redis::Value::Int(*number as i64),
        Value::String(text) => redis::Value::BulkString(text.as_bytes().to_vec()),
        Value::Boolean(true) => redis::Value::Int(1),
        Value::Table(table) => {
            let values = table.sequence_values::<Value>();
            redis::Value::Array(values.map(|value| from_lua(&value.unwrap())).collect())
        }
        _ => redis::Value::Nil,
    }
}
