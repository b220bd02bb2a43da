# --- required

variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project for all resources: an empty project with billing enabled."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.gcp_project))
    error_message = "gcp_project must be a project ID such as my-project, with 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  type        = string
  description = "The region of the cluster, buckets, images and Dataflow jobs, such as europe-west1. Use the region of the data."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone or a multi-region."
  }
}

variable "authorized_networks" {
  type        = map(string)
  description = "The networks that may reach the cluster's control plane, as CIDR ranges by name, such as {office = \"203.0.113.0/24\"}."
  nullable    = false
}

variable "alert_emails" {
  type        = set(string)
  description = "The email addresses that receive alerts (failed and late runs, Argo's controller down) and budget notifications."
  nullable    = false
}

variable "image_tag" {
  type        = string
  description = "The tag of Refeed's images, as passed to `make images IMAGE_TAG=...`. Tags are immutable, so each version needs a new tag."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag must be a tag such as 0.1.0. latest is not allowed, since it does not identify the version that a run used."
  }
}

variable "projects" {
  type = map(object({
    namespace       = optional(string)
    analysts        = optional(set(string), [])
    source_datasets = optional(set(string), [])
    source_buckets  = optional(set(string), [])
    uploads         = optional(bool, false)
    dataflow        = optional(bool, true)
  }))
  description = <<-EOT
    The Refeed projects by the name that specs use. Each project has its own namespace, bucket, database, staging
    dataset and service accounts.
    - `namespace`: the Kubernetes namespace, by default refeed-<name>. Use the same one in the project's folder in manifests/.
    - `analysts`: the emails of the Google groups that may see the project's results.
    - `source_datasets`: the BigQuery datasets that the project may read, as project.dataset. They must be in
      `bigquery_location`.
    - `source_buckets`: the buckets that the project may read in addition to its own.
    - `uploads`: whether analysts may `refeed submit --upload`.
    - `dataflow`: whether the project may run Dataflow jobs.
  EOT
  nullable    = false

  validation {
    condition     = length(var.projects) > 0
    error_message = "projects must contain at least one project, since every spec runs in one."
  }

  validation {
    condition     = alltrue([for name in keys(var.projects) : can(regex("^[a-z]([-a-z0-9]{0,13}[a-z0-9])?$", name))])
    error_message = "A project name must consist of at most 15 lower-case letters, digits and hyphens: the account name refeed-NAME-collect has at most 30 characters."
  }

  validation {
    condition     = alltrue([for project in var.projects : project.namespace == null || can(regex("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", project.namespace))])
    error_message = "A namespace must consist of at most 63 lower-case letters, digits and hyphens, and start with a letter."
  }
}

# --- optional

variable "classes" {
  type = map(object({
    machine_type = string
    cpu          = string
    memory       = string
    spot         = optional(bool, true)
    on_demand    = optional(bool, true)
    max_nodes    = optional(number, 20)
    disk_gb      = optional(number, 100)
    internet     = optional(bool, false)

    ephemeral_storage = optional(string, "10Gi")

    gpu = optional(object({
      type   = string
      count  = optional(number, 1)
      driver = optional(string, "DEFAULT")
    }))
  }))
  description = <<-EOT
    The resource classes by name. This map defines the node pools and the installation file's `classes`. `cpu`,
    `memory` and `ephemeral_storage` are the resources of one pod and must be less than the machine's; see
    modules/node-pools.
  EOT
  default = {
    small  = { machine_type = "e2-standard-8", cpu = "2", memory = "8Gi" }    # three pods per node
    medium = { machine_type = "e2-standard-8", cpu = "7", memory = "26Gi" }   # one pod per node
    large  = { machine_type = "e2-highmem-16", cpu = "15", memory = "110Gi" } # one pod per node
  }
  nullable = false
}

variable "steps" {
  type = object({
    check   = optional(string, "small")
    split   = optional(string, "medium")
    collect = optional(string, "small")
  })
  description = "The resource classes of the check, split and collect steps. Use classes with `on_demand`."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for class in values(var.steps) : contains(keys(var.classes), class)])
    error_message = "Each of steps must be a class in classes: ${join(", ", keys(var.classes))}."
  }
}

variable "auto_provisioning" {
  type = object({
    max_cpu        = number
    max_memory_gib = number
  })
  description = "The limits (vCPU, GiB) of node auto-provisioning for the whole cluster. Null creates a node pool per class instead. See modules/cluster."
  default     = null
}

variable "trainers" {
  type        = set(string)
  description = "The trainers of the installation. Each has an image of the same name."
  default     = ["lightgbm", "linear", "ebm"]
  nullable    = false

  validation {
    condition     = length(var.trainers) > 0 && alltrue([for trainer in var.trainers : can(regex("^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$", trainer))])
    error_message = "trainers must contain at least one trainer. Names must consist of lower-case letters, digits and hyphens."
  }
}

variable "trainer_rules" {
  type        = any # parameters have any type, and differ by trainer
  description = <<-EOT
    Rules of trainers, by name: `classes` that the trainer runs in (default: all without a GPU), `defaults` and `limits`
    (`min`, `max`) of its parameters. See docs/platform/installation-file.md.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, rules in var.trainer_rules : contains(var.trainers, name) && length(setsubtract(keys(rules), ["classes", "defaults", "limits"])) == 0 && alltrue([for class in try(rules.classes, []) : contains(keys(var.classes), class)])])
    error_message = "trainer_rules must name trainers of the variable trainers, with classes of the variable classes, defaults and limits only."
  }
}

variable "ranges" {
  type = object({
    nodes    = optional(string, "10.0.0.0/22")
    pods     = optional(string, "10.4.0.0/16")
    services = optional(string, "10.8.0.0/20")
    dataflow = optional(string, "10.0.8.0/22")
  })
  description = "The CIDR ranges of the network. Change them if they overlap a network that is peered with this one. See modules/network and modules/dataflow."
  default     = {}
  nullable    = false

  validation {
    condition = !anytrue([
      for other in ["nodes", "pods", "services"] : try(
        length(distinct([
          for range in [other, "dataflow"] :
          cidrhost("${split("/", var.ranges[range])[0]}/${min([for each in [other, "dataflow"] : tonumber(split("/", var.ranges[each])[1])]...)}", 0)
        ])) == 1, false
      )
    ])
    error_message = "ranges.dataflow overlaps another range. Choose ranges without common addresses."
  }
}

variable "internet" {
  type        = bool
  description = "Whether platform nodes can reach the Internet through Cloud NAT, which Argo CD needs to read an external Git server. Nodes of a class stay closed unless the class sets `internet`."
  default     = false
  nullable    = false

  validation {
    condition     = var.internet || !anytrue([for class in var.classes : class.internet])
    error_message = "A class sets internet, but the network has no path to the Internet. Set internet = true."
  }
}

variable "mirrors" {
  type        = map(string)
  description = "The registries to mirror in Artifact Registry, so that nodes need no Internet access: by default those of Argo Workflows and Argo CD. See modules/registry."
  default = {
    quay = "https://quay.io"        # Argo Workflows, Argo CD
    ghcr = "https://ghcr.io"        # Argo CD's Dex
    ecr  = "https://public.ecr.aws" # Argo CD's Redis
  }
  nullable = false
}

variable "bigquery_location" {
  type        = string
  description = "The location of the BigQuery sources and the staging datasets. Null selects `region`. It cannot be changed later."
  default     = null
}

variable "firestore_location" {
  type        = string
  description = "The location of the Firestore databases: a region, eur3 or nam5. Null selects `region`. It cannot be changed later."
  default     = null
}

variable "security_group" {
  type        = string
  description = "The Google group gke-security-groups@DOMAIN. RoleBindings can name the groups that are members of it. Null for none."
  default     = null
}

variable "image_pushers" {
  type        = set(string)
  description = "The IAM members that push Refeed's images, such as group:ci@example.com."
  default     = []
  nullable    = false
}

variable "argo" {
  type = object({
    namespace        = optional(string, "argo")
    service_accounts = optional(set(string), ["argo-server"])
  })
  description = "The namespace of Argo, and its Kubernetes service accounts that read reports and logs. Use the values in manifests/."
  default     = {}
  nullable    = false
}

variable "budget" {
  type = object({
    billing_account = string
    project_number  = string
    amount          = number
    currency        = optional(string)
  })
  description = "The monthly budget, which sends notifications and does not cap costs. Null for none. See modules/observability."
  default     = null
}

variable "prices" {
  type = object({
    cpu_hour = number
    gib_hour = number
    currency = optional(string, "USD")

    resource_hour = optional(map(number))
  })
  description = "The hourly prices of a CPU, a GiB of memory and (`resource_hour`, by name) other resources such as nvidia.com/gpu in `region`, with which `refeed profile` estimates costs. Null makes it estimate hours only."
  default     = null

  validation {
    condition     = try(var.prices.cpu_hour >= 0 && var.prices.gib_hour >= 0 && can(regex("^[A-Z]{3}$", var.prices.currency)), var.prices == null)
    error_message = "prices must not be negative, and prices.currency must be an ISO 4217 code such as EUR."
  }
}

variable "notify" {
  type = object({
    secret     = optional(string, "refeed-notify")
    key        = optional(string, "url")
    late_after = optional(string, "6h")
  })
  description = <<-EOT
    The notification settings: the Secret and key in each project's namespace with the URL of a webhook for failed
    runs (optional), and the duration after which a run counts as late, which alerts use too. An external webhook
    needs `internet`, and `internet` in the class of `steps.collect`.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{0,5}[smhd]$", var.notify.late_after))
    error_message = "notify.late_after must be a whole number and a unit (s, m, h or d), such as 6h."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether the cluster and the databases are protected from deletion. To delete them, set this to false in a separate apply first."
  default     = true
  nullable    = false
}
