//! The OpenAPI document of the server, <https://spec.openapis.org/oas/v3.1.0>.

use serde_json::{Map, Value, json};

use super::models::{Models, ServedModel};
use super::schema;

/// All that does not depend on the models.
const TEMPLATE: &str = include_str!("openapi.json");

/// The document for these models.
#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
pub(crate) fn document(models: &Models, max_rows: usize, has_token: bool) -> Value {
    let mut document: Value = serde_json::from_str(TEMPLATE).expect("the template is JSON");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let components = &mut document["components"];
    let row = |model: &ServedModel| {
        let mut row = schema::model_schema(&model.name, model.engine().predictor());
        row.as_object_mut().map(|row| row.remove("$schema"));
        row
    };
    components["schemas"]["Row"]["anyOf"] = models.all().iter().map(row).collect();
    components["schemas"]["Rows"]["maxItems"] = max_rows.into();
    let names = models.all().iter().map(|model| model.name.as_str());
    components["parameters"]["model"]["schema"]["enum"] = names.collect();
    if has_token {
        components["securitySchemes"] = json!({"token": {"type": "http", "scheme": "bearer"}});
        document["security"] = json!([{"token": []}]);
    }
    add_faults(&mut document);
    document
}

/// Gives every fault its content, and every operation all faults.
fn add_faults(document: &mut Value) {
    let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}});
    let mut faults = Map::new();
    for (status, fault) in members(&mut document["components"]["responses"]) {
        fault["content"] = content.clone();
        let reference = format!("#/components/responses/{status}");
        faults.insert(status.clone(), json!({ "$ref": reference }));
    }
    for (_, path) in members(&mut document["paths"]) {
        for (_, operation) in members(path) {
            for (status, reference) in &faults {
                operation["responses"][status] = reference.clone();
            }
        }
    }
}

fn members(object: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    object.as_object_mut().into_iter().flatten()
}
