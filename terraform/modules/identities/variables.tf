variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the accounts and pays for BigQuery and Dataflow. Use the same project in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "The region of the image repositories."
  nullable    = false
}

variable "name" {
  type        = string
  description = "The prefix of all account names: <name>-node, <name>-platform, <name>-<project>-split."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.name))
    error_message = "name must consist of 2 to 10 lower-case letters and digits: account names have at most 30 characters."
  }
}

variable "workload_pool" {
  type        = string
  description = "The workload identity pool: `workload_pool` of the cluster module. The reference makes Terraform bind accounts only after the pool exists."
  nullable    = false

  validation {
    condition     = endswith(var.workload_pool, ".svc.id.goog")
    error_message = "workload_pool must be GKE's pool, PROJECT.svc.id.goog."
  }
}

variable "repositories" {
  type        = list(string)
  description = "The names of the Artifact Registry repositories that nodes pull from: `repositories` of the registry module. The first holds the Refeed images."
  nullable    = false

  validation {
    condition     = length(var.repositories) > 0
    error_message = "repositories must contain at least the Refeed repository: nodes pull images from nowhere else."
  }
}

variable "image_pushers" {
  type        = set(string)
  description = "The IAM members that push Refeed images: group:..., user:..., serviceAccount:... or, for CI, principalSet://...."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.image_pushers : can(regex("^((group|user|serviceAccount):[^@ ]+@[^@ ]+|principal(Set)?://.+)$", member))])
    error_message = "image_pushers must be IAM members such as group:ci@example.com. allUsers and allAuthenticatedUsers are not allowed."
  }
}

variable "argo" {
  type = object({
    namespace        = optional(string, "argo")
    service_accounts = optional(set(string), ["argo-server"])
  })
  description = <<-EOT
    The namespace of Argo, and its Kubernetes service accounts that act as the platform account. The server needs it
    to show reports and logs. The controller reads no artifacts and does not need it.
  EOT
  default     = {}
  nullable    = false
}

variable "projects" {
  type = map(object({
    namespace       = string
    bucket          = string
    database        = optional(string)
    staging         = optional(string)
    source_datasets = optional(set(string), [])
    source_buckets  = optional(set(string), [])
    analysts        = optional(set(string), [])
    uploads         = optional(bool, false)
    dataflow        = optional(bool, true)
  }))
  description = <<-EOT
    The Refeed projects by name:
    - `namespace`: the project's Kubernetes namespace, with the service accounts refeed-split, refeed-train, refeed-collect.
    - `bucket`: the bucket of the artifact root, from the storage module.
    - `database`: the name of the Firestore database, from the firestore module; null for none.
    - `staging`: the ID of the BigQuery dataset for query and view results, from the bigquery module; null for none.
    - `source_datasets`: the BigQuery datasets that the project may read, as project.dataset.
    - `source_buckets`: the buckets that the project may read in addition to its own.
    - `analysts`: the emails of the Google groups that may see its results and reach the cluster.
    - `uploads`: whether analysts may add files to <bucket>/<project>/uploads/ (`refeed submit --upload`).
    - `dataflow`: whether the project may run Dataflow jobs.
  EOT
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.projects) : can(regex("^[a-z]([-a-z0-9]*[a-z0-9])?$", name)) && length("${var.name}-${name}-collect") <= 30])
    error_message = "A project name must consist of lower-case letters, digits and hyphens. It must be short enough that the account name ${var.name}-NAME-collect has at most 30 characters."
  }

  validation {
    condition     = !anytrue([for name in keys(var.projects) : contains(["node", "platform"], name)])
    error_message = "A project must not be named node or platform: the platform uses these account names. Choose another name."
  }

  validation {
    condition     = length(distinct([for project in var.projects : project.namespace])) == length(var.projects) && !contains([for project in var.projects : project.namespace], var.argo.namespace)
    error_message = "Two projects share a namespace, or one uses Argo's. Pods of a namespace act as the project's accounts, so each project must have its own namespace."
  }

  validation {
    condition = length(distinct([for project in var.projects : project.bucket])) == length(var.projects) && (
      length(distinct([for project in var.projects : project.database if project.database != null]))
      == length([for project in var.projects : project.database if project.database != null])
    )
    error_message = "Two projects share a bucket or a database. Access is granted per bucket and database, so each project must have its own."
  }

  validation {
    condition     = alltrue(flatten([for project in var.projects : [for dataset in project.source_datasets : can(regex("^[a-z][a-z0-9.:-]{3,98}[.][A-Za-z0-9_]+$", dataset))]]))
    error_message = "Each of source_datasets must be a Google Cloud project and a dataset without a table, such as my-project.sales."
  }

  validation {
    condition     = alltrue(flatten([for project in var.projects : [for bucket in project.source_buckets : can(regex("^[a-z0-9][a-z0-9._-]+$", bucket))]]))
    error_message = "Each of source_buckets must be a bucket name, without gs:// and without a path."
  }

  validation {
    condition     = alltrue(flatten([for project in var.projects : [for group in project.analysts : can(regex("^[^@: ]+@[^@ ]+[.][a-z]+$", group))]]))
    error_message = "Each of analysts must be the email of a Google group, such as sales-analysts@example.com, without the prefix group:."
  }
}
