variable "gcp_project" {
  type        = string
  description = "Google Cloud project of all accounts, and which pays for BigQuery and Dataflow; the same in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Region of the repositories of images."
  nullable    = false
}

variable "name" {
  type        = string
  description = "What the names of all accounts begin with: <name>-node, <name>-platform, <name>-<project>-split."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.name))
    error_message = "name has 2 to 10 lower-case letters and digits: accounts' names have 30 characters at the most."
  }
}

variable "workload_pool" {
  type        = string
  description = "Workload identity pool: the module cluster's `workload_pool`, so that accounts are bound when it is there."
  nullable    = false

  validation {
    condition     = endswith(var.workload_pool, ".svc.id.goog")
    error_message = "workload_pool is GKE's, PROJECT.svc.id.goog."
  }
}

variable "repositories" {
  type        = list(string)
  description = "Names of the repositories in Artifact Registry that nodes pull from: the module registry's `repositories`. The first holds Refeed's own images."
  nullable    = false

  validation {
    condition     = length(var.repositories) > 0
    error_message = "repositories has at least Refeed's own: nodes pull from nowhere else."
  }
}

variable "image_pushers" {
  type        = set(string)
  description = "Who pushes Refeed's images, as IAM writes members: group:..., user:..., serviceAccount:..., principalSet://... of a CI."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.image_pushers : can(regex("^((group|user|serviceAccount):[^@ ]+@[^@ ]+|principal(Set)?://.+)$", member))])
    error_message = "image_pushers are such as group:ci@example.com; never allUsers or allAuthenticatedUsers."
  }
}

variable "argo" {
  type = object({
    namespace        = optional(string, "argo")
    service_accounts = optional(set(string), ["argo-server"])
  })
  description = <<-EOT
    Argo's namespace, and which of its Kubernetes service accounts act as the platform's account: the server
    shows reports and logs. The controller reads no artifact, so it is not among them.
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
    Refeed projects by name:
    - `namespace`: its own in Kubernetes, with the service accounts refeed-split, refeed-train, refeed-collect.
    - `bucket`: of its artifact root, the module storage's.
    - `database`: of Firestore, the module firestore's, by its name; null for none.
    - `staging`: BigQuery's dataset for results of queries and views, the module bigquery's, by its id; null for none.
    - `source_datasets`: what it may read of BigQuery, project.dataset each.
    - `source_buckets`: what it may read of Cloud Storage beside its own bucket.
    - `analysts`: e-mails of Google groups, who may see its results and its cluster.
    - `uploads`: whether analysts may add files to <bucket>/<project>/uploads/ (`refeed submit --upload`).
    - `dataflow`: whether it may run jobs of Dataflow.
  EOT
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.projects) : can(regex("^[a-z]([-a-z0-9]*[a-z0-9])?$", name)) && length("${var.name}-${name}-collect") <= 30])
    error_message = "A project's name has lower-case letters, digits and hyphens, and so few that ${var.name}-NAME-collect has at most 30 characters, as accounts' names have."
  }

  validation {
    condition     = !anytrue([for name in keys(var.projects) : contains(["node", "platform"], name)])
    error_message = "node and platform are accounts of the platform: name the project otherwise."
  }

  validation {
    condition     = length(distinct([for project in var.projects : project.namespace])) == length(var.projects) && !contains([for project in var.projects : project.namespace], var.argo.namespace)
    error_message = "Two projects have the same namespace, or one has Argo's: a project is the unit of isolation, and its pods act as its accounts."
  }

  validation {
    condition = length(distinct([for project in var.projects : project.bucket])) == length(var.projects) && (
      length(distinct([for project in var.projects : project.database if project.database != null]))
      == length([for project in var.projects : project.database if project.database != null])
    )
    error_message = "Two projects have the same bucket or database: rights hold for the whole of it, so each has its own."
  }

  validation {
    condition     = alltrue(flatten([for project in var.projects : [for dataset in project.source_datasets : can(regex("^[a-z][a-z0-9.:-]{3,98}[.][A-Za-z0-9_]+$", dataset))]]))
    error_message = "source_datasets are such as my-project.sales: the Google Cloud project and the dataset, without a table."
  }

  validation {
    condition     = alltrue(flatten([for project in var.projects : [for bucket in project.source_buckets : can(regex("^[a-z0-9][a-z0-9._-]+$", bucket))]]))
    error_message = "source_buckets are buckets' names, without gs:// and without a path."
  }

  validation {
    condition     = alltrue(flatten([for project in var.projects : [for group in project.analysts : can(regex("^[^@: ]+@[^@ ]+[.][a-z]+$", group))]]))
    error_message = "analysts are e-mails of Google groups, such as sales-analysts@example.com, without group: before them."
  }
}
