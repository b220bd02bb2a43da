# --- what you must say

variable "gcp_project" {
  type        = string
  description = "Id of an empty Google Cloud project with billing, in which everything is made."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.gcp_project))
    error_message = "gcp_project is a project's id, such as my-project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  type        = string
  description = "Region of cluster, buckets, images and Dataflow, such as europe-west1: where the data is."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as europe-west1, not a zone or a multi-region."
  }
}

variable "authorized_networks" {
  type        = map(string)
  description = "Whence the cluster's control plane may be asked: ranges (CIDR) by what they are, such as {office = \"203.0.113.0/24\"}."
  nullable    = false
}

variable "alert_emails" {
  type        = set(string)
  description = "Who is told of failed and late runs, of an Argo that is silent, and of the budget."
  nullable    = false
}

variable "image_tag" {
  type        = string
  description = "Tag of Refeed's images, as `make images IMAGE_TAG=...` was given it. A new version is a new tag: tags do not move."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag is a tag such as 0.1.0, and not latest: nobody could tell what a run ran."
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
    Refeed projects by the name that specs use, at most 15 letters: each gets a namespace, a bucket, a database, a
    staging dataset and accounts of its own.
    - `namespace`: in Kubernetes; default refeed-<name>. The same as in the project's folder of manifests/.
    - `analysts`: e-mails of Google groups who may see its results.
    - `source_datasets`: what it may read of BigQuery, project.dataset each. In `bigquery_location`.
    - `source_buckets`: what it may read of Cloud Storage beside its own bucket.
    - `uploads`: whether analysts may `refeed submit --upload`.
    - `dataflow`: whether it may run jobs of Dataflow.
  EOT
  nullable    = false

  validation {
    condition     = length(var.projects) > 0
    error_message = "There is at least one Refeed project: specs run in one."
  }

  validation {
    condition     = alltrue([for name in keys(var.projects) : can(regex("^[a-z]([-a-z0-9]{0,13}[a-z0-9])?$", name))])
    error_message = "A project's name has at most 15 lower-case letters, digits and hyphens: accounts' names, refeed-NAME-collect, have 30 characters at the most."
  }

  validation {
    condition     = alltrue([for project in var.projects : project.namespace == null || can(regex("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", project.namespace))])
    error_message = "A namespace has at most 63 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

# --- what you may say

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
  }))
  description = <<-EOT
    Resource classes by name: node pools and the installation file's `classes` are made of this one map. `cpu` and
    `memory` are what one pod gets, which is less than the machine has; see modules/node-pools.
  EOT
  default = {
    small  = { machine_type = "e2-standard-8", cpu = "2", memory = "8Gi" }    # three pods to a node
    medium = { machine_type = "e2-standard-8", cpu = "7", memory = "26Gi" }   # one
    large  = { machine_type = "e2-highmem-16", cpu = "15", memory = "110Gi" } # one
  }
  nullable = false
}

variable "steps" {
  type = object({
    check   = optional(string, "small")
    split   = optional(string, "medium")
    collect = optional(string, "small")
  })
  description = "Which of `classes` each step runs in that is no trainer; best ones with `on_demand`."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for class in values(var.steps) : contains(keys(var.classes), class)])
    error_message = "steps names a class that is not among classes: ${join(", ", keys(var.classes))}."
  }
}

variable "auto_provisioning" {
  type = object({
    max_cpu        = number
    max_memory_gib = number
  })
  description = "Limits of the whole cluster (vCPU, GiB) up to which GKE makes node pools itself; null for a pool by class. See modules/cluster."
  default     = null
}

variable "trainers" {
  type        = set(string)
  description = "Trainers of the installation; each has an image of its name."
  default     = ["lightgbm", "linear"]
  nullable    = false

  validation {
    condition     = length(var.trainers) > 0 && alltrue([for trainer in var.trainers : can(regex("^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$", trainer))])
    error_message = "There is at least one trainer; names have lower-case letters, digits and hyphens."
  }
}

variable "ranges" {
  type = object({
    nodes    = optional(string, "10.0.0.0/22")
    pods     = optional(string, "10.4.0.0/16")
    services = optional(string, "10.8.0.0/20")
    dataflow = optional(string, "10.0.8.0/22")
  })
  description = "Address ranges (CIDR) of the network; change them where it is to be joined with another. See modules/network and modules/dataflow."
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
    error_message = "ranges.dataflow overlaps another of ranges."
  }
}

variable "internet" {
  type        = bool
  description = "Whether the platform's nodes reach the Internet, through Cloud NAT: needed where Argo CD reads a Git server outside. Nodes of classes stay closed unless a class says `internet`."
  default     = false
  nullable    = false

  validation {
    condition     = var.internet || !anytrue([for class in var.classes : class.internet])
    error_message = "A class has internet, but the network has no way there: set internet."
  }
}

variable "mirrors" {
  type        = map(string)
  description = "Registries whose images come through Artifact Registry, so that nodes need no Internet: those of Argo Workflows and Argo CD. See modules/registry."
  default = {
    quay = "https://quay.io"        # Argo Workflows, Argo CD
    ghcr = "https://ghcr.io"        # Dex, of Argo CD
    ecr  = "https://public.ecr.aws" # Redis, of Argo CD
  }
  nullable = false
}

variable "bigquery_location" {
  type        = string
  description = "Where sources in BigQuery are, and so the staging datasets; null for `region`. It can not be changed later."
  default     = null
}

variable "firestore_location" {
  type        = string
  description = "Where the databases are: a region, or eur3 or nam5; null for `region`. It can not be changed later."
  default     = null
}

variable "cache_days" {
  type        = number
  description = "Days after which models and explanations go, which a run makes again where it needs them; null keeps them. See modules/storage."
  default     = 180
}

variable "security_group" {
  type        = string
  description = "Google group gke-security-groups@DOMAIN, of which the analysts' groups are members, so that RoleBindings may name these; null for none."
  default     = null
}

variable "image_pushers" {
  type        = set(string)
  description = "Who pushes Refeed's images, as IAM writes members, such as group:ci@example.com."
  default     = []
  nullable    = false
}

variable "argo" {
  type = object({
    namespace        = optional(string, "argo")
    service_accounts = optional(set(string), ["argo-server"])
  })
  description = "Argo's namespace, and which of its Kubernetes service accounts read reports and logs; the same as in manifests/."
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
  description = "A month's budget, which tells and stops nothing; null for none. See modules/observability."
  default     = null
}

variable "prices" {
  type = object({
    cpu_hour = number
    gib_hour = number
    currency = optional(string, "USD")
  })
  description = "What a processor and a GiB of memory cost for an hour in `region`, so that `refeed profile` tells what a run will cost; null if it should tell hours only."
  default     = null

  validation {
    condition     = try(var.prices.cpu_hour >= 0 && var.prices.gib_hour >= 0 && can(regex("^[A-Z]{3}$", var.prices.currency)), var.prices == null)
    error_message = "prices are not negative, and currency is ISO 4217, such as EUR."
  }
}

variable "notify" {
  type = object({
    secret     = optional(string, "refeed-notify")
    key        = optional(string, "url")
    late_after = optional(string, "6h")
  })
  description = <<-EOT
    Whom runs tell of failure: the Secret in each project's namespace with a webhook's URL, if it is there, and after
    how long a run is late, which alerts follow too. A webhook outside needs `internet`, and a class of
    `steps.collect` with `internet`.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]{0,5}[smhd]$", var.notify.late_after))
    error_message = "notify.late_after is a number and one of s, m, h, d, such as 6h."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether cluster and databases refuse to be deleted. Turn it off in an apply of its own."
  default     = true
  nullable    = false
}
