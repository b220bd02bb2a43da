locals {
  declared = jsondecode(var.indexes)

  # One entry per database and field, and one per database and index.
  overrides = merge([
    for project in keys(var.projects) : {
      for field in local.declared.fieldOverrides :
      "${project} ${field.collectionGroup}.${field.fieldPath}" => { project = project, field = field }
    }
  ]...)

  composites = merge([
    for project in keys(var.projects) : {
      for index in local.declared.indexes :
      "${project} ${index.collectionGroup} ${join(",", [for field in index.fields : "${field.fieldPath}:${try(field.order, field.arrayConfig)}"])}" => {
        project = project, index = index
      }
    }
  ]...)
}

resource "google_firestore_database" "this" {
  for_each = var.projects

  project                           = var.gcp_project
  name                              = each.value
  location_id                       = var.location
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "PESSIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = var.delete_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.delete_protection ? "ABANDON" : "DELETE"

  dynamic "cmek_config" {
    for_each = var.encryption_key[*]

    content {
      kms_key_name = cmek_config.value
    }
  }
}

resource "google_firestore_field" "override" {
  for_each = local.overrides

  project    = var.gcp_project
  database   = google_firestore_database.this[each.value.project].name
  collection = each.value.field.collectionGroup
  field      = each.value.field.fieldPath

  index_config { # an empty list exempts the field from indexing
    dynamic "indexes" {
      for_each = each.value.field.indexes

      content {
        order        = try(indexes.value.order, null)
        array_config = try(indexes.value.arrayConfig, null)
        query_scope  = try(indexes.value.queryScope, "COLLECTION")
      }
    }
  }
}

resource "google_firestore_index" "composite" {
  for_each = local.composites

  project     = var.gcp_project
  database    = google_firestore_database.this[each.value.project].name
  collection  = each.value.index.collectionGroup
  query_scope = try(each.value.index.queryScope, "COLLECTION")

  dynamic "fields" {
    for_each = each.value.index.fields

    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

resource "google_firestore_backup_schedule" "daily" {
  for_each = var.backup_days > 0 ? google_firestore_database.this : {}

  project   = var.gcp_project
  database  = each.value.name
  retention = "${var.backup_days * 86400}s"

  daily_recurrence {}
}
